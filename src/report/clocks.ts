/**
 * The kernel's clocks without the kernel, held to the kernel: each reading between two of clock_gettime, give or take the bound
 * that the clock states, and never behind the one before. And what one costs, beside the bare record's clock.
 */
import { CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME } from '../abi/clock-id.ts';
import type { ClockName, KernelClocks } from '../machine/kernel-clocks.ts';
import type { Sys } from '../machine/sys.ts';
import { NSEC_PER_SEC } from '../scale/timespec.ts';
import { type Contender, interleaved, type Spread, spreadOf } from './statistics.ts';

export interface ClockCheck {
  readonly name: ClockName;
  /** The kernel's name of it. */
  readonly kernel: string;
  readonly readings: number;
  /** Readings beyond the bound, and by how much at worst. */
  readonly outside: number;
  readonly worstOutsideNs: number;
  readonly stepsBack: number;
  /** The bound as stated after each reading. */
  readonly boundNs: Spread;
  /** A reading less the middle of the two around it. */
  readonly offNs: Spread;
}

export interface ClockCost {
  readonly name: ClockName | 'now';
  readonly ns: Spread;
  /** Median over that of now(). */
  readonly toNow: number;
}

export const KERNEL_CLOCKS = {
  realtime: ['CLOCK_REALTIME', CLOCK_REALTIME],
  monotonic: ['CLOCK_MONOTONIC', CLOCK_MONOTONIC],
  boottime: ['CLOCK_BOOTTIME', CLOCK_BOOTTIME],
  monotonicRaw: ['CLOCK_MONOTONIC_RAW', CLOCK_MONOTONIC_RAW],
} as const satisfies Record<ClockName, readonly [string, number]>;

const NAMES = Object.keys(KERNEL_CLOCKS) as ClockName[];
/** Readings of each clock before the event loop is let on. */
const BURST = 20_000;
/** One reading in so many is kept for the spreads. */
const KEPT = 64;

/** Reads all four in turns for `seconds`. `onBurst` is told how many of them are over. */
export async function checkClocks(
  clocks: KernelClocks,
  sys: Sys,
  seconds: number,
  onBurst?: (seconds: number) => void,
): Promise<ClockCheck[]> {
  const tallies = NAMES.map((name) => new Tally(name, clocks, sys));
  const start = performance.now();
  let passed = 0;
  while (passed < seconds) {
    for (let i = 0; i < BURST; i++) for (const tally of tallies) tally.read();
    await new Promise((resolve) => setImmediate(resolve));
    passed = (performance.now() - start) / 1000;
    onBurst?.(passed);
  }
  return tallies.map((tally) => tally.result());
}

/** What the readings of one clock came to. */
class Tally {
  readonly #name: ClockName;
  readonly #read: () => bigint;
  readonly #bound: () => number;
  readonly #kernel: () => bigint;
  #last = -(1n << 63n);
  #readings = 0;
  #outside = 0;
  #worstOutsideNs = 0;
  #stepsBack = 0;
  readonly #bounds: number[] = [];
  readonly #off: number[] = [];

  constructor(name: ClockName, clocks: KernelClocks, sys: Sys) {
    this.#name = name;
    this.#read = clocks[name];
    this.#bound = () => clocks.errorBoundNs(name);
    this.#kernel = kernelClock(sys, KERNEL_CLOCKS[name][1]);
  }

  read(): void {
    const before = this.#kernel();
    const ns = this.#read();
    const after = this.#kernel();
    const boundNs = this.#bound(); // it only grows until the next reading
    this.#readings++;
    if (ns < this.#last) this.#stepsBack++;
    this.#last = ns;
    const apartNs = Number(ns < before ? before - ns : ns > after ? ns - after : 0n);
    if (apartNs > boundNs) {
      this.#outside++;
      this.#worstOutsideNs = Math.max(this.#worstOutsideNs, apartNs - boundNs);
    }
    if (this.#readings % KEPT !== 0) return;
    this.#bounds.push(boundNs);
    this.#off.push(Number(ns - before) - Number(after - before) / 2);
  }

  result(): ClockCheck {
    return {
      name: this.#name,
      kernel: KERNEL_CLOCKS[this.#name][0],
      readings: this.#readings,
      outside: this.#outside,
      worstOutsideNs: this.#worstOutsideNs,
      stepsBack: this.#stepsBack,
      boundNs: spreadOf(this.#bounds),
      offNs: spreadOf(this.#off),
    };
  }
}

/** The kernel's clock_gettime through libc, in ns. */
export function kernelClock(sys: Sys, clock: number): () => bigint {
  const time = new BigInt64Array(2);
  const address = sys.ffi.getRawPointer(time);
  return () => {
    sys.libc.clock_gettime(clock, address);
    return time[0]! * NSEC_PER_SEC + time[1]!;
  };
}

/** Loops of one clock one after the other, of which the median counts. */
export const LOOPS = 9;

/**
 * What a call costs from JavaScript, in LOOPS loops of `calls` a round. A loop should be shorter than what the scheduler gives
 * a thread at once, so that on a busy machine most of them are not interrupted.
 */
export function clockCosts(
  clocks: KernelClocks,
  now: () => bigint,
  rounds: number,
  calls: number,
  onRound?: (done: number, of: number) => void,
): ClockCost[] {
  const hrtime = process.hrtime.bigint;
  const { realtime, monotonic, boottime, monotonicRaw } = clocks;
  let kept = 0n; // what the loops read goes here, so that no call can be dropped
  const timed = (name: ClockCost['name'], loop: () => bigint): Contender => ({
    name,
    run: () => {
      const times = Array.from({ length: LOOPS }, () => {
        const start = hrtime();
        kept = loop();
        return Number(hrtime() - start) / calls;
      });
      return spreadOf(times).median;
    },
  });
  // Each in a loop of its own, as it would be in a program.
  const contenders = [
    timed('now', () => {
      let last = 0n;
      for (let i = 0; i < calls; i++) last = now();
      return last;
    }),
    timed('realtime', () => {
      let last = 0n;
      for (let i = 0; i < calls; i++) last = realtime();
      return last;
    }),
    timed('monotonic', () => {
      let last = 0n;
      for (let i = 0; i < calls; i++) last = monotonic();
      return last;
    }),
    timed('boottime', () => {
      let last = 0n;
      for (let i = 0; i < calls; i++) last = boottime();
      return last;
    }),
    timed('monotonicRaw', () => {
      let last = 0n;
      for (let i = 0; i < calls; i++) last = monotonicRaw();
      return last;
    }),
  ];
  const spreads = interleaved(contenders, rounds, 3, onRound);
  if (kept === 0n) throw new Error('the loops were not run');
  const floor = spreads.get('now')!.median;
  return [...spreads].map(([name, ns]) => ({ name: name as ClockCost['name'], ns, toNow: ns.median / floor }));
}
