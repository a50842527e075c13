/** A clock as the watch sees it, by script: one cycle a nanosecond, a look every half second. */
import type { Pvti } from '../../src/abi/pvti.ts';
import type { Look } from '../../src/report/history.ts';

export const RECORD: Pvti = {
  version: 4,
  tscTimestamp: 0n,
  systemTime: 0n,
  tscToSystemMul: 0x80000000,
  tscShift: 1,
  flags: 1,
};

const STEP_NS = 500_000_000n;

/** Look number `index`, when the clock is `gainedNs` ahead of the kernel's, which were at one with it at look 0. */
export function lookAt(index: number, gainedNs = 0n, records: readonly Pvti[] = [RECORD]): Look {
  const kernelNs = BigInt(index) * STEP_NS;
  return {
    atMs: index * 500,
    tsc: kernelNs + gainedNs,
    records: new Map(records.map((record, vcpu) => [vcpu, record])),
    pairings: ['CLOCK_MONOTONIC_RAW', 'CLOCK_MONOTONIC'].map((against) => ({
      against,
      clockNs: kernelNs + gainedNs,
      kernelNs,
      widthNs: 100n,
    })),
  };
}
