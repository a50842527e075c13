/**
 * The kernel's clocks by what Node offers, where the image cannot be had: its monotonic clock, the time of day in whole
 * milliseconds, the time since the boot in whole hundredths of a second. No finer, but never stepping back.
 */
import { uptime } from 'node:os';
import { type BoundedEpochClock, epochClock, type WallReading } from './epoch.ts';
import { checkClockName, type KernelClocks } from './kernel-clocks.ts';

const NSEC_PER_MSEC = 1_000_000n;
/** os.uptime() on Linux; elsewhere it may be whole seconds. */
const UPTIME_STEP_NS = process.platform === 'linux' ? 10_000_000n : 1_000_000_000n;

/** `now`: process.hrtime.bigint, which on Linux is CLOCK_MONOTONIC itself. Nothing in Node says what CLOCK_MONOTONIC_RAW is. */
export function nodeClocks(now: () => bigint): KernelClocks {
  const realtime = lazy(() => epochClock(now, dateReading));
  const boottime = lazy(() => epochClock(now, uptimeReading));
  return {
    realtime: () => realtime().epochNow(),
    monotonic: now,
    boottime: () => boottime().epochNow(),
    monotonicRaw: now,
    errorBoundNs(clock) {
      checkClockName(clock);
      if (clock === 'realtime') return realtime().errorBoundNs();
      if (clock === 'boottime') return boottime().errorBoundNs();
      return clock === 'monotonic' ? 0 : Number.POSITIVE_INFINITY;
    },
  };
}

function lazy(make: () => BoundedEpochClock): () => BoundedEpochClock {
  let clock: BoundedEpochClock | undefined;
  return () => {
    clock ??= make();
    return clock;
  };
}

/** Date.now() is whole milliseconds, rounded down: the middle of the one it names. */
export function dateReading(): WallReading {
  return { ns: BigInt(Date.now()) * NSEC_PER_MSEC + NSEC_PER_MSEC / 2n, errorNs: NSEC_PER_MSEC };
}

function uptimeReading(): WallReading {
  return { ns: BigInt(Math.round(uptime() * 1e9)) + UPTIME_STEP_NS / 2n, errorNs: UPTIME_STEP_NS };
}
