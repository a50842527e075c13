/** Numbers as the command line takes them: decimal, or hex with 0x. */
import { UsageError } from './command.ts';

/** `text` as a u64. `option` is named in the error: `--tsc`. */
export function parseU64(option: string, text: string): bigint {
  const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? BigInt(text) : undefined;
  if (value === undefined || value >= 1n << 64n) {
    throw new UsageError(`${option} takes a number of 0..2^64-1, decimal or hex with 0x, not ${JSON.stringify(text)}`);
  }
  return value;
}

/** `text` as a whole number of `least`..2^53-1. */
export function parseCount(option: string, text: string, least = 0): number {
  const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < least) {
    throw new UsageError(
      `${option} takes a whole number from ${least} on, decimal or hex with 0x, not ${JSON.stringify(text)}`,
    );
  }
  return value;
}
