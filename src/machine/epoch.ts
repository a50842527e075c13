/**
 * Nanoseconds since 1970 on top of a monotonic clock: for tracing, where spans must not end before they began.
 *
 * The difference between wall time and the clock is measured once, and again in the first call after each second. Where
 * wall time turns out to be ahead, the epoch clock steps forward to it. Where it is behind (the wall clock was set back,
 * or slewed) the epoch clock runs at half speed until it has been caught up with: it never steps back.
 */

export interface EpochClock {
  /** Nanoseconds since 1970-01-01 UTC, never less than a value given before in this thread. */
  epochNow(): bigint;
  /** The same as OpenTelemetry's HrTime: whole seconds, and nanoseconds within the second. */
  hrTime(): [seconds: number, nanos: number];
}

/** The same, with what is known of its error. */
export interface BoundedEpochClock extends EpochClock {
  /** By how many ns a reading just taken may lie before or behind wall time, as long as nobody set that since the last second. */
  errorBoundNs(): number;
}

/** A reading of the wall clock. `errorNs`: it may be off by so much in either direction. */
export interface WallReading {
  readonly ns: bigint;
  readonly errorNs: bigint;
}

const ANCHOR_AGE_NS = 1_000_000_000n;
const NSEC_PER_SEC = 1_000_000_000n;
/** By how much the paces of the two clocks may differ: what adjtimex allows between 500 ppm slow and as much fast. */
const PACE_PPM = 1000;

/** `now`: a clock in ns. `wall`: reads the wall clock, as close to `now` as it can. */
export function epochClock(now: () => bigint, wall: () => WallReading): BoundedEpochClock {
  let anchorNow = now();
  const first = wall();
  let anchorEpoch = first.ns;
  let anchorErrorNs = first.errorNs + elapsedSince(anchorNow);
  let aheadNs = 0n; // by how much the epoch clock was ahead of wall time when anchored
  let latest = 0n;

  function elapsedSince(ns: bigint): bigint {
    const elapsed = now() - ns;
    return elapsed < 0n ? 0n : elapsed;
  }
  const at = (ns: bigint): bigint => {
    const elapsed = ns - anchorNow;
    const paidBack = elapsed / 2n < aheadNs ? elapsed / 2n : aheadNs;
    return anchorEpoch + elapsed - paidBack;
  };
  const anchor = (ns: bigint): void => {
    const ours = at(ns);
    const { ns: theirs, errorNs } = wall();
    const ahead = ours - theirs;
    anchorNow = ns;
    anchorEpoch = ours;
    if (ahead > errorNs) aheadNs = ahead;
    else {
      aheadNs = 0n;
      if (-ahead > errorNs) anchorEpoch = theirs;
    }
    const off = anchorEpoch - theirs;
    anchorErrorNs = errorNs + (off < 0n ? -off : off) + elapsedSince(ns);
  };
  const epochNow = (): bigint => {
    const ns = now();
    if (ns - anchorNow > ANCHOR_AGE_NS || ns < anchorNow) anchor(ns);
    const epoch = at(ns);
    if (epoch > latest) latest = epoch;
    return latest;
  };
  return {
    epochNow,
    hrTime: () => {
      const ns = epochNow();
      return [Number(ns / NSEC_PER_SEC), Number(ns % NSEC_PER_SEC)];
    },
    errorBoundNs: () => Number(anchorErrorNs) + (Number(elapsedSince(anchorNow)) * PACE_PPM) / 1e6,
  };
}
