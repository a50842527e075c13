/**
 * How fast a clock runs against the kernel's, in parts per million. Each comparison is two bracketed readings, at its
 * start and at its end: the clock, the kernel's clock, the clock again. The kernel's reading lies somewhere between the
 * two, and how wide they stand apart is the uncertainty.
 */

import { CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW } from '../abi/clock-id.ts';
import type { Sys } from '../machine/sys.ts';

export interface Drift {
  /** The kernel's clock by its name. */
  readonly against: string;
  /** Above 0: the clock runs faster than the kernel's. */
  readonly ppm: number;
  readonly uncertaintyPpm: number;
}

/** The same, and where the clock stands now: its reading less the kernel's, in ns. */
export interface DriftReport extends Drift {
  readonly offsetNs: number;
}

/** One bracketed reading. `widthNs`: how wide the two readings of the clock stand apart; `clockNs`: their middle. */
export interface Pairing {
  readonly against: string;
  readonly clockNs: bigint;
  readonly kernelNs: bigint;
  readonly widthNs: bigint;
}

const CLOCKS = { CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC } as const;
const TRIES = 50;

/** Begins a comparison; the function returned ends it. The longer between, the surer: 0.1 ppm within seconds. */
export function beginDrift(now: () => bigint, sys: Sys): () => DriftReport[] {
  const first = pairings(now, sys);
  return () => {
    const last = pairings(now, sys);
    return last.map((pairing, index) => driftBetween(first[index]!, pairing));
  };
}

/** From two readings against one clock. */
export function driftBetween(first: Pairing, last: Pairing): DriftReport {
  const elapsed = Number(last.kernelNs - first.kernelNs);
  const gained = Number(last.clockNs - first.clockNs) - elapsed;
  const uncertain = Number(first.widthNs + last.widthNs) / 2;
  return {
    against: last.against,
    ppm: (gained / elapsed) * 1e6,
    uncertaintyPpm: (uncertain / elapsed) * 1e6,
    offsetNs: Number(last.clockNs - last.kernelNs),
  };
}

/** The narrowest of several bracketed readings, for each of the kernel's clocks. */
export function pairings(now: () => bigint, sys: Sys): Pairing[] {
  const timespec = new BigInt64Array(2);
  const address = sys.ffi.getRawPointer(timespec);
  return Object.entries(CLOCKS).map(([against, id]) => {
    let best: Pairing | undefined;
    for (let i = 0; i < TRIES; i++) {
      const before = now();
      sys.libc.clock_gettime(id, address);
      const after = now();
      const widthNs = after - before;
      if (best !== undefined && widthNs >= best.widthNs) continue;
      const kernelNs = timespec[0]! * 1_000_000_000n + timespec[1]!;
      best = { against, clockNs: before + widthNs / 2n, kernelNs, widthNs };
    }
    return best!;
  });
}
