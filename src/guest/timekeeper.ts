/**
 * The guest kernel's timekeeper: it keeps the page of bases that clock_gettime reads. An update takes all clocks over at
 * one reading of the counter, each line going on where it was, to the last bit behind the point; what changes then changes from
 * there on: a rate (NTP), a step (settimeofday), a sleep, the loss of the clocksource.
 *
 * Assumes: one writer at a time, as under the kernel's timekeeper lock.
 */
import { CLOCK_MODE, type ClockBase, MAX_VALID_CYCLES } from '../abi/clock-base.ts';
import * as id from '../abi/clock-id.ts';
import { NSEC_PER_SEC } from '../scale/timespec.ts';
import { movedTo, steppedBy } from './clock-base.ts';
import type { TimekeeperCpu } from './cpu.ts';
import { type Counter, rewriteBases } from './rewrite-bases.ts';

/** What becomes of the base of `clock`, which was moved to the instant of the update. */
export type Change = (base: ClockBase, clock: number) => ClockBase;

export interface FirstBases {
  /** What CLOCK_REALTIME and its kin count by. */
  readonly mode: typeof CLOCK_MODE.TSC | typeof CLOCK_MODE.PVCLOCK;
  /** ns a cycle of the counter, shifted left by `shift`. */
  readonly mult: number;
  readonly shift: number;
  /** The clocks when the timekeeper starts; CLOCK_MONOTONIC_RAW is level with CLOCK_MONOTONIC. */
  readonly realtimeNs: bigint;
  readonly monotonicNs: bigint;
  readonly boottimeNs: bigint;
  /** TAI - UTC. */
  readonly taiOffsetSec: number;
}

const COARSE_OF: ReadonlyMap<number, number> = new Map([
  [id.CLOCK_REALTIME_COARSE, id.CLOCK_REALTIME],
  [id.CLOCK_MONOTONIC_COARSE, id.CLOCK_MONOTONIC],
]);

/** Fills the page; before, it holds no clock. */
export function startTimekeeper(cpu: TimekeeperCpu, page: number, counter: Counter, first: FirstBases): void {
  const { mode, mult, shift } = first;
  const ns = new Map([
    [id.CLOCK_REALTIME, first.realtimeNs],
    [id.CLOCK_MONOTONIC, first.monotonicNs],
    [id.CLOCK_MONOTONIC_RAW, first.monotonicNs],
    [id.CLOCK_BOOTTIME, first.boottimeNs],
    [id.CLOCK_TAI, first.realtimeNs + BigInt(first.taiOffsetSec) * NSEC_PER_SEC],
  ]);
  rewriteBases(cpu, page, id.VDSO_CLOCKS, counter, (_, cycles, clock) => {
    const zero = { mode, cycleLast: cycles, validCycles: MAX_VALID_CYCLES, mult, shift, sec: 0n, shiftedNsec: 0n };
    const coarse = COARSE_OF.has(clock) ? { mode: CLOCK_MODE.COARSE } : {};
    const start = ns.get(COARSE_OF.get(clock) ?? clock)!;
    return steppedBy({ ...zero, ...coarse, errorNs: 0n, errorPpb: 0 }, start);
  });
}

/** What the kernel does at every tick, and with a `change` when it was told of one: new bases on the lines that there are. */
export function updateTimekeeper(cpu: TimekeeperCpu, page: number, counter: Counter, change: Change = same): void {
  rewriteBases(cpu, page, id.VDSO_CLOCKS, counter, (base, cycles, clock) => change(movedTo(base, cycles), clock));
}

const same: Change = (base) => base;

/** NTP: another rate for the clocks that it disciplines, which are all but CLOCK_MONOTONIC_RAW. */
export function withRate(mult: number): Change {
  return (base, clock) => (clock === id.CLOCK_MONOTONIC_RAW ? base : { ...base, mult });
}

/** settimeofday: CLOCK_REALTIME is set, by so many ns forward or back, and CLOCK_TAI with it. */
export function withRealtimeStep(ns: bigint): Change {
  return (base, clock) => (WALL_CLOCKS.includes(clock) ? steppedBy(base, ns) : base);
}

/** The machine slept for so many ns in which the counter stood: CLOCK_BOOTTIME counts them too. */
export function withSleep(ns: bigint): Change {
  return (base, clock) => (WALL_CLOCKS.includes(clock) || clock === id.CLOCK_BOOTTIME ? steppedBy(base, ns) : base);
}

/** The clocksource is not one that user space can read: all but the coarse clocks must be asked of the kernel. */
export function withoutCounter(): Change {
  return (base) => (base.mode === CLOCK_MODE.COARSE ? base : { ...base, mode: CLOCK_MODE.NONE });
}

const WALL_CLOCKS: readonly number[] = [id.CLOCK_REALTIME, id.CLOCK_REALTIME_COARSE, id.CLOCK_TAI];
