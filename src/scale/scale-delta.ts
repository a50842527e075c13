/**
 * From TSC cycles to nanoseconds: shift the delta, multiply by a 0.32 fixed-point fraction, keep the integer part.
 *
 *   1. d = shift < 0 ? delta >> -shift : delta << shift      left: bits past 63 are dropped
 *   2. ns = (d * mul) >> 32                                  the product has 96 bits; 64 are kept
 *
 * A TSC behind the record's timestamp gives a delta near 2^64, not a negative one: the protocol has no guard against it.
 * A shift by 64 or more leaves nothing, in either direction.
 */

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** The definition, in bigints. `delta`: u64; `mul`: u32; `shift`: -128..127. Returns u64 nanoseconds. */
export function scaleDelta(delta: bigint, mul: number, shift: number): bigint {
  const shifted = shift < 0 ? delta >> BigInt(-shift) : u64(delta << BigInt(shift));
  return u64((shifted * BigInt(mul)) >> 32n);
}

/**
 * The same on 32-bit halves, for loops that must not make garbage. `delta` = high * 2^32 + low; the result's
 * low and high words go to `out[0]` and `out[1]`. Its slow twin above proves it.
 */
export function scaleDelta32(high: number, low: number, mul: number, shift: number, out: Uint32Array): void {
  let h = high >>> 0;
  let l = low >>> 0;
  if (shift <= -64 || shift >= 64) {
    h = 0;
    l = 0;
  } else if (shift <= -32) {
    l = h >>> (-shift - 32);
    h = 0;
  } else if (shift < 0) {
    l = ((l >>> -shift) | (h << (32 + shift))) >>> 0;
    h = h >>> -shift;
  } else if (shift >= 32) {
    h = (l << (shift - 32)) >>> 0;
    l = 0;
  } else if (shift > 0) {
    h = ((h << shift) | (l >>> (32 - shift))) >>> 0;
    l = (l << shift) >>> 0;
  }
  // ns = h * mul + (l * mul >> 32), mod 2^64; only the low product's high word matters.
  const carry = highWord(l, mul);
  const low64 = Math.imul(h, mul) >>> 0;
  const sum = low64 + carry; // below 2^33: exact
  out[0] = sum >>> 0;
  out[1] = highWord(h, mul) + (sum > 0xffffffff ? 1 : 0);
}

/** The high word of the 64-bit product of two u32, by 16-bit halves; every term stays below 2^53. */
function highWord(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16); // below 2^32
  const other = aLow * bHigh + (middle & 0xffff); // below 2^32
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(other / 0x10000)) >>> 0;
}
