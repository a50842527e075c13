/** openClock(): the library's door. */
import { CLOCK_REALTIME } from '../abi/clock-id.ts';
import type { Pvti } from '../abi/pvti.ts';
import { type EpochClock, epochClock, type WallReading } from './epoch.ts';
import type { KernelClocks } from './kernel-clocks.ts';
import { type LiveMachine, openLive } from './live.ts';
import { dateReading, nodeClocks } from './node-clocks.ts';
import { isUnavailable, type Sys } from './sys.ts';
import { kernelClocks } from './timekeeper.ts';
import { type ChangeListener, watchRecord } from './watch.ts';

/** A clock that openClock() gives: the record of this VM, or process.hrtime where there is none. */
export interface Clock extends EpochClock, KernelClocks {
  /** `pvclock`: the record that the hypervisor keeps for this VM. `hrtime`: Node's own clock, as there is no record here. */
  readonly source: 'pvclock' | 'hrtime';
  /** Where the record was found, or why there is none. */
  readonly reason: string;

  /**
   * Nanoseconds since the VM's clock was zero (`hrtime`: since an arbitrary moment, which Bun and Deno choose anew in each
   * thread), u64: the same in every process and thread of the VM at one instant. Ordered: read after everything that the program did before the call. Where the record
   * is not stable the kernel is asked instead, in the same call. A rewrite of the record may move it: see `onChange`.
   */
  readonly now: () => bigint;
  /** The same as a double: exact up to 2^53 ns, 104 days, and to 2 ns for the next 104. */
  readonly nowNs: () => number;
  /** The same with a plain RDTSC: the processor may read it some tens of cycles earlier or later than it stands. */
  readonly nowRelaxedNs: () => number;

  /** vCPU 0's record as it stands, all from one update; undefined where `source` is `hrtime`. */
  record(): Pvti | undefined;
  /**
   * Calls `listener` when the hypervisor has rewritten the record: a refresh, a restore, a migration, the loss of
   * stability. Looks every `watchEveryMs`, holds no process alive, and returns a function that ends it. Never calls where
   * `source` is `hrtime`.
   */
  onChange(listener: ChangeListener): () => void;
}

/** What openClock() takes. */
export interface ClockOptions {
  /** How often `onChange` looks at the record, in ms; 1000 by default. */
  readonly watchEveryMs?: number;
}

const DEFAULT_WATCH_MS = 1000;

/**
 * Opens the best clock that this process can have. It never fails: where there is no record, no node:ffi, or no permission
 * to use it, the clock is process.hrtime and `reason` says why. Throws RangeError on a bad option alone.
 */
export function openClock(options: ClockOptions = {}): Clock {
  const watchEveryMs = options.watchEveryMs ?? DEFAULT_WATCH_MS;
  if (typeof watchEveryMs !== 'number' || !(watchEveryMs > 0 && watchEveryMs < 2 ** 31)) {
    throw new RangeError(`openClock: watchEveryMs must be above 0 and below 2^31 ms, got ${watchEveryMs}`);
  }
  const live = openLive();
  return isUnavailable(live) ? hrtimeClock(live.unavailable) : pvclock(live, watchEveryMs);
}

function pvclock(live: LiveMachine, watchEveryMs: number): Clock {
  const { image } = live;
  const now = image.kvmclock_now;
  const look = () => ({ record: live.record(0), tsc: image.kvmclock_rdtsc_ordered() });
  // Each look also measures the kernel's clock against the record anew, for the reads that may have to do without it.
  const watch = watchRecord(look, watchEveryMs, image.kvmclock_anchor);
  return {
    source: 'pvclock',
    reason: live.where,
    now,
    nowNs: image.kvmclock_now_ns,
    nowRelaxedNs: image.kvmclock_now_relaxed_ns,
    record: () => live.record(0),
    onChange: watch.onChange,
    ...kernelClocks(live),
    ...lazyEpoch(now, realtime(live.sys)),
  };
}

function hrtimeClock(reason: string): Clock {
  const now = process.hrtime.bigint;
  const nowNs = (): number => Number(now());
  return {
    source: 'hrtime',
    reason,
    now,
    nowNs,
    nowRelaxedNs: nowNs,
    record: () => undefined,
    onChange: () => () => {},
    ...nodeClocks(now),
    ...lazyEpoch(now, dateReading),
  };
}

/** The epoch clock is anchored at its first use: most programs never ask for it. */
function lazyEpoch(now: () => bigint, wall: () => WallReading): EpochClock {
  let epoch: EpochClock | undefined;
  const get = (): EpochClock => {
    epoch ??= epochClock(now, wall);
    return epoch;
  };
  return { epochNow: () => get().epochNow(), hrTime: () => get().hrTime() };
}

/** CLOCK_REALTIME through libc. */
function realtime(sys: Sys): () => WallReading {
  const timespec = new BigInt64Array(2);
  const address = sys.ffi.getRawPointer(timespec);
  return () => {
    sys.libc.clock_gettime(CLOCK_REALTIME, address);
    return { ns: timespec[0]! * 1_000_000_000n + timespec[1]!, errorNs: 0n };
  };
}
