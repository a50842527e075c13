/**
 * How a processor scales the TSC it shows a guest: guest cycles = (host cycles * ratio) >> 48, the ratio in 16.48 fixed
 * point, as Intel's VMX keeps it (AMD's has 32 bits behind the point; the guest sees no difference beyond the last cycle).
 */

const FRACTION_BITS = 48n;

/** 1:1. */
export const TSC_RATIO_ONE = 1n << FRACTION_BITS;

/** The ratio that shows a TSC of `hostKhz` as one of `guestKhz`, rounded down. Both positive. */
export function tscRatio(guestKhz: number, hostKhz: number): bigint {
  return (BigInt(guestKhz) << FRACTION_BITS) / BigInt(hostKhz);
}

/** u64 host cycles as guest cycles, mod 2^64, before any offset. */
export function scaleTsc(hostCycles: bigint, ratio: bigint): bigint {
  return BigInt.asUintN(64, (hostCycles * ratio) >> FRACTION_BITS);
}
