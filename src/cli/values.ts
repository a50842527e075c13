/** Values as the command line takes them: numbers in decimal, or hex with 0x; one of some names. */
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

/** `text` as a whole number of `least`..`most`. */
export function parseWithin(option: string, text: string, least: number, most: number): number {
  const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`${option} takes a whole number of ${least}..${most}, not ${JSON.stringify(text)}`);
}

/** One of `names`. */
export function parseName<const N extends string>(option: string, text: string, names: readonly N[]): N {
  const name = names.find((known) => known === text);
  if (name === undefined) throw new UsageError(`${option} takes ${names.join(', ')}, not ${JSON.stringify(text)}`);
  return name;
}

/** The argument `text` as one of `names`, each of them a `what`: `no reader "x"; there are ...`. */
export function parseArgument<const N extends string>(what: string, text: string, names: readonly N[]): N {
  const name = names.find((known) => known === text);
  if (name === undefined) throw new UsageError(`no ${what} ${JSON.stringify(text)}; there are ${names.join(', ')}`);
  return name;
}
