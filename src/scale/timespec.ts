/** Nanoseconds as a bigint, to and from seconds and nanoseconds. */

export const NSEC_PER_SEC = 1_000_000_000n;

/** `nsec` is 0..999 999 999, also for an instant before the epoch. */
export interface Timespec {
  readonly sec: bigint;
  readonly nsec: number;
}

export function toTimespec(ns: bigint): Timespec {
  const rest = ns % NSEC_PER_SEC;
  const nsec = rest < 0n ? rest + NSEC_PER_SEC : rest;
  return { sec: (ns - nsec) / NSEC_PER_SEC, nsec: Number(nsec) };
}

export function fromTimespec(time: Timespec): bigint {
  return time.sec * NSEC_PER_SEC + BigInt(time.nsec);
}
