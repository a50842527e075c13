/**
 * The clocks of the simulated machine's host, all counted from process.hrtime, which every thread of a process shares:
 *
 *   ns since boot  =  hrtime
 *   TSC            =  hrtime * rate, rounded down to the cycle
 *
 * So the TSCs of all host processors agree, and count no finer than hrtime does. `sample` takes both from one reading of hrtime
 * and is one instant; `tsc` and `ns` are two, with whatever happens to the thread in between.
 */
import type { HostClock, HostSample } from '../../hypervisor/host-clock.ts';

/** 2.6 GHz: a rate that no pair of multiplier and shift gives exactly, as most rates. */
export const SIMULATED_TSC_HZ = 2_600_000_000n;

const NSEC_PER_SEC = 1_000_000_000n;
const NSEC_PER_MSEC = 1_000_000n;

/**
 * A host whose clocks are counted from process.hrtime, for simulated VMs and for VMMs without a TSC of their own. `tscHz`: cycles of
 * its TSC in a second, a bigint of 1 or more; else RangeError. Threads of one VM share it on Node alone.
 */
export function simulatedClock(tscHz: bigint = SIMULATED_TSC_HZ): HostClock {
  if (typeof tscHz !== 'bigint' || tscHz < 1n) {
    throw new RangeError(`simulatedClock: tscHz takes a bigint of 1 or more, got ${tscHz}`);
  }
  const now = process.hrtime.bigint;
  const common = greatestCommonDivisor(tscHz, NSEC_PER_SEC); // a smaller product is a faster one
  const cycles = tscHz / common;
  const perNs = NSEC_PER_SEC / common;
  const tscAt = (ns: bigint): bigint => (ns * cycles) / perNs;
  const realtimeNs = (): bigint => BigInt(Date.now()) * NSEC_PER_MSEC;
  return {
    tscHz: () => tscHz,
    tsc: () => tscAt(now()),
    ns: () => now(),
    realtimeNs,
    sample(): HostSample {
      const ns = now();
      return { ns, tsc: tscAt(ns), realtimeNs: realtimeNs() };
    },
  };
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  return b === 0n ? a : greatestCommonDivisor(b, a % b);
}
