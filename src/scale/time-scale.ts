/**
 * From a frequency to (mul, shift) and back: the pair that turns cycles of one clock into units of another.
 * One second of cycles usually comes out as 999 999 999 ns: mul is rounded down (below 0.47 ppb), and halving an odd
 * frequency loses a bit the other way (2 000 000 001 Hz gives the pair of 2 GHz).
 */

/** `mul`: 0.32 fixed point, u32; `shift`: applied to the delta first, negative = right. */
export interface TimeScale {
  readonly mul: number;
  readonly shift: number;
}

const MAX_U32 = 0xffffffffn;
const NSEC_PER_SEC = 1_000_000_000n;

/** The pair that scales a count at `baseHz` into one at `scaledHz`. Both in 1..2^64-1, else RangeError. */
export function timeScale(scaledHz: bigint, baseHz: bigint): TimeScale {
  if (scaledHz < 1n || baseHz < 1n || scaledHz >= 1n << 64n || baseHz >= 1n << 64n) {
    throw new RangeError(`timeScale: frequencies must be 1..2^64-1 Hz, got scaled ${scaledHz} and base ${baseHz}`);
  }
  let base = baseHz;
  let scaled = scaledHz;
  let shift = 0;
  while (base > scaled * 2n || base > MAX_U32) {
    base >>= 1n;
    shift--;
  }
  // base keeps to 32 bits from here on, so scaled, which ends below it, does too
  while (base <= scaled) {
    if ((base & 0x80000000n) !== 0n) scaled >>= 1n;
    else base <<= 1n;
    shift++;
  }
  return { mul: Number((scaled << 32n) / base), shift };
}

/** The pair that scales TSC cycles at `tscHz` into nanoseconds. */
export function tscToNs(tscHz: bigint): TimeScale {
  return timeScale(NSEC_PER_SEC, tscHz);
}

/**
 * The TSC frequency in kHz that a record's pair stands for, as a guest kernel computes it: truncated, then shifted
 * left, so up to 2^-shift - 1 kHz too low where shift is negative. `undefined` where mul is 0.
 */
export function tscKhz(mul: number, shift: number): number | undefined {
  if (mul === 0) return undefined;
  const quotient = (1_000_000n << 32n) / BigInt(mul);
  return Number(BigInt.asUintN(64, quotient >> BigInt(shift))); // to the left where shift is negative
}

/** The same to the hertz, without rounding to a kHz first: for people to read. `undefined` where mul is 0. */
export function tscHz(mul: number, shift: number): number | undefined {
  return mul === 0 ? undefined : (1e9 * 2 ** 32) / (mul * 2 ** shift);
}
