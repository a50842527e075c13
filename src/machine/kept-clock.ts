/**
 * One of the kernel's clocks on the live machine. Its base is renewed by the reading that finds it too old, not by a timer: so
 * its error stays bounded while the event loop is busy, and an idle process does nothing.
 *
 * The image itself asks the kernel where the base is too old, and says so. A clock that is read again soon gets a new base;
 * one that is read now and then goes on with the kernel's answers, which cost less than a base.
 */
import { CLOCK_MODE, type ClockBase } from '../abi/clock-base.ts';
import type { TimekeeperCpu } from '../guest/cpu.ts';
import { rewriteBases } from '../guest/rewrite-bases.ts';
import { Discipline, errorBoundNs, latestNs, POLICY, type Sample } from './discipline.ts';

export type CounterMode = typeof CLOCK_MODE.TSC | typeof CLOCK_MODE.PVCLOCK;

/** What a clock needs of the machine. */
export interface ClockHost {
  readonly cpu: TimekeeperCpu;
  /** Address of the page of bases. */
  readonly bases: number;
  /** What the clocks count by here, and ns a cycle to 500 ppm or so. Asked again from time to time. */
  counting(): { readonly mode: CounterMode; readonly nsPerCycle: number };
  /** The counter; undefined where it cannot be read. */
  counter(mode: CounterMode): bigint | undefined;
  /** The kernel's clock between two readings of the counter; undefined where one of them cannot be read. */
  sample(mode: CounterMode, clock: number): Sample | undefined;
  /** Whether the image had to ask the kernel since this was asked last. */
  kernelWasAsked(): boolean;
}

/** Readings no further apart are worth a base. */
const OFTEN_NS = BigInt(2 * POLICY.validNs);
const COUNTING_AGE_NS = 1_000_000_000n;
/** A sample is good enough where it is no wider than this many times the narrowest so far. */
const GOOD_ENOUGH = 1.5;
const MOST_SAMPLES = 8;
/** A base that was taken over by more after its sample is made anew, so many times at most. */
const LATE_NS = 20_000;
const MOST_TAKEOVERS = 3;
const LONG_AGO = -(1n << 63n);

export class KeptClock {
  readonly #host: ClockHost;
  readonly #clock: number;
  /** Reads the clock by the image. */
  readonly #read: () => bigint;
  #mode: CounterMode = CLOCK_MODE.TSC;
  #discipline: Discipline | undefined;
  #base: ClockBase | undefined;
  /** When the kernel was asked last, whatever became of its answer; and when it was asked last what the clocks count by. */
  #askedAtNs = LONG_AGO;
  #countingAtNs = LONG_AGO;
  /** The latest of the kernel's answers that were handed out, and by how much it is more than the kernel's own. */
  #givenNs = LONG_AGO;
  #heldNs = 0;
  /** The base's line ended and does not go on: what was handed out since is in `#givenNs`. */
  #brokenOff = false;
  #narrowestCycles = Number.POSITIVE_INFINITY;

  constructor(host: ClockHost, clock: number, read: () => bigint) {
    this.#host = host;
    this.#clock = clock;
    this.#read = read;
  }

  /** What becomes of a reading, in ns, for which the kernel had to be asked: a new one on a new base, or the same. */
  settle(ns: bigint): bigint {
    const kernelNs = BigInt.asIntN(64, ns);
    const sinceNs = kernelNs - this.#askedAtNs;
    this.#askedAtNs = kernelNs;
    const floorNs = this.#floorNs();
    const setBack = kernelNs <= floorNs;
    if ((setBack || sinceNs < OFTEN_NS) && this.#renew(floorNs)) {
      const again = this.#read();
      return this.#host.kernelWasAsked() ? this.#give(BigInt.asIntN(64, again)) : again;
    }
    return this.#give(kernelNs);
  }

  /** How far a reading just taken may be off, in ns. */
  errorBoundNs(): number {
    if (this.#base === undefined || this.#brokenOff) return this.#heldNs; // the kernel's own answers
    const cycles = this.#host.counter(this.#mode) ?? this.#base.cycleLast + this.#base.validCycles;
    return errorBoundNs(this.#base, cycles, this.#discipline!.nsPerCycle);
  }

  /** The latest that anybody can have been given. */
  #floorNs(): bigint {
    return this.#brokenOff || this.#base === undefined ? this.#givenNs : latestNs(this.#base);
  }

  /**
   * Hands out the kernel's answer, or where that is behind the latest that was or can have been handed out, that once more: the
   * kernel's clock was set back, or the counter was lost before the base had become too old.
   */
  #give(kernelNs: bigint): bigint {
    this.#breakOff();
    if (kernelNs > this.#givenNs) this.#givenNs = kernelNs;
    this.#heldNs = Number(this.#givenNs - kernelNs);
    return BigInt.asUintN(64, this.#givenNs);
  }

  /** From now on nobody reads on the line that there is: what is handed out may be ahead of it. */
  #breakOff(): void {
    if (this.#brokenOff || this.#base === undefined) return;
    this.#givenNs = this.#floorNs();
    this.#brokenOff = true;
    const { cpu, bases } = this.#host;
    rewriteBases(
      cpu,
      bases,
      [this.#clock],
      () => 0n,
      (base) => ({ ...base, mode: CLOCK_MODE.NONE }),
    );
  }

  /** Makes a new base; false where none can be made. */
  #renew(floorNs: bigint): boolean {
    this.#chooseCounter();
    for (let tries = 1; ; tries++) {
      const lateCycles = this.#takeOver(this.#discipline!, floorNs);
      if (lateCycles === undefined) return tries > 1;
      // The thread was held up between sample and base, so the base knows little: another one, on its line.
      if (Number(lateCycles) * this.#discipline!.nsPerCycle <= LATE_NS || tries === MOST_TAKEOVERS) return true;
    }
  }

  /** One sample and the base from it. Returns how long after the sample it took over, or undefined where it could not. */
  #takeOver(discipline: Discipline, floorNs: bigint): bigint | undefined {
    const sample = this.#narrowSample();
    if (sample === undefined) return undefined;
    const last = this.#brokenOff ? undefined : this.#base;
    const { cpu, bases } = this.#host;
    const counter = () => this.#host.counter(this.#mode) ?? 0n;
    let next: ClockBase | undefined;
    rewriteBases(cpu, bases, [this.#clock], counter, (old, cycles) => {
      if (cycles < sample.after) return old; // the counter became unreadable, or was set back
      const goesOn = last !== undefined && cycles >= last.cycleLast;
      next = discipline.next(sample, goesOn ? { cycles, last } : { cycles, floorNs });
      return next;
    });
    if (next === undefined) return undefined;
    this.#base = next;
    this.#brokenOff = false;
    return next.cycleLast - sample.after;
  }

  /** The kernel may change its clocksource: then its clocks no longer run with the counter that they were kept by. */
  #chooseCounter(): void {
    const ageNs = this.#askedAtNs - this.#countingAtNs;
    if (this.#discipline !== undefined && ageNs >= 0n && ageNs < COUNTING_AGE_NS) return;
    this.#countingAtNs = this.#askedAtNs;
    const { mode, nsPerCycle } = this.#host.counting();
    if (this.#discipline !== undefined && mode === this.#mode) return;
    this.#mode = mode;
    this.#discipline = new Discipline(mode, nsPerCycle);
    this.#narrowestCycles = Number.POSITIVE_INFINITY;
    this.#breakOff();
  }

  #narrowSample(): Sample | undefined {
    let best: Sample | undefined;
    let bestCycles = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < MOST_SAMPLES; tries++) {
      const sample = this.#host.sample(this.#mode, this.#clock);
      if (sample === undefined) return undefined;
      const cycles = Number(sample.after - sample.before);
      if (cycles >= 0 && cycles < bestCycles) [best, bestCycles] = [sample, cycles];
      if (bestCycles <= this.#narrowestCycles * GOOD_ENOUGH) break;
    }
    if (best !== undefined) this.#narrowestCycles = bestCycles; // of late: what is narrow changes with the machine's load
    return best;
  }
}
