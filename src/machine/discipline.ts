/**
 * How a clock of ours is made to follow one of the kernel's: from readings of the kernel's between two of our counter comes
 * the base of the next line, and how far that may be off.
 *
 *   off by  <=  |our line - the kernel's, as measured|  +  half the reading's width  +  errorPpb * age
 *
 * where errorPpb is what the kernel's pace may be off by (kernel-pace.ts).
 *
 * A line begins where the last one is at that moment; what it is off by is made good through its rate. It begins further on
 * where it is behind by more than a rate could make good soon (somebody set the clock, or the machine slept), and never
 * further back: a clock that was set back goes at half speed until it has been caught up with.
 */
import type { CLOCK_MODE, ClockBase } from '../abi/clock-base.ts';
import { clampedToBase, cyclesApart } from '../guest/clock-base.ts';
import { NSEC_PER_SEC } from '../scale/timespec.ts';
import { KernelPace, PACE_AT_MOST, type Sighting } from './kernel-pace.ts';

/** The kernel's clock, read between two readings of the counter. */
export interface Sample {
  readonly before: bigint;
  readonly after: bigint;
  /** What it showed, in ns; it counts in steps of one. */
  readonly kernelNs: bigint;
}

/** What a line begins from. */
export interface Takeover {
  /** The counter at which the new line takes over; after the sample. */
  readonly cycles: bigint;
  /** The line of this discipline that has been read until now, and goes on; undefined where there is none. */
  readonly last?: ClockBase | undefined;
  /** Where there is none, the latest that anybody can have been given: the new line does not begin below it. */
  readonly floorNs?: bigint | undefined;
}

export const POLICY = {
  /** How long a base is used. */
  validNs: 500_000,
  /** What a line is off by it makes good within this time: more than it is used for, so it never makes good too much. */
  slewNs: 2_000_000,
  /** What is behind by more begins further on. */
  stepNs: 2_000,
} as const;

const HALF_SPEED = 0.5;
/** A line goes on as it is for so many times its validity. */
const LINE_GOES_ON = 4n;
/** Rounding: of the kernel's ns, of ours, of cycles that are halved. */
const ROUNDING_NS = 2;
/** A line that is off by so many halves of a sample's width was told a rate that is not the kernel's any more. */
const SURPRISE = 4;
const MOST_SHIFT = 32;

export class Discipline {
  readonly #mode: number;
  readonly #pace: KernelPace;
  readonly #shift: number;

  /** `nsPerCycle`: the counter's rate, to 500 ppm or so. */
  constructor(mode: typeof CLOCK_MODE.TSC | typeof CLOCK_MODE.PVCLOCK, nsPerCycle: number) {
    this.#mode = mode;
    this.#pace = new KernelPace(nsPerCycle);
    const fastest = nsPerCycle * (1 + PACE_AT_MOST) * (1 + POLICY.stepNs / POLICY.slewNs);
    this.#shift = Math.min(MOST_SHIFT, Math.floor(Math.log2(2 ** 32 / fastest)));
  }

  /** ns a cycle, as far as it is known. */
  get nsPerCycle(): number {
    return this.#pace.nsPerCycle;
  }

  /** How far the kernel's clock is known from this sample alone, in ns: half its width. */
  halfNs({ before, after }: Sample): number {
    return (Number(after - before) * this.nsPerCycle) / 2 + ROUNDING_NS;
  }

  /** The base of the line from `takeover` on. */
  next(sample: Sample, { cycles, last, floorNs }: Takeover): ClockBase {
    const halfNs = this.halfNs(sample);
    const middle: Sighting = {
      cycles: sample.before + (sample.after - sample.before) / 2n,
      ns: sample.kernelNs,
      halfNs,
    };
    const errorPpb = this.#pace.see(middle);
    const bits = BigInt(this.#shift);
    const ageCycles = Number(cycles - middle.cycles);
    const agedNs = (ageCycles * this.nsPerCycle * errorPpb) / 1e9;
    const target = (middle.ns << bits) + this.#shifted(ageCycles);
    const own = last === undefined ? target : shiftedAt(last, cycles, this.#mult(-HALF_SPEED));
    const behindNs = Number(target - own) / 2 ** this.#shift;
    const begin = behindNs > POLICY.stepNs ? target : own;
    const start = floorNs === undefined || begin > floorNs << bits ? begin : floorNs << bits;
    const offNs = Number(target - start) / 2 ** this.#shift;
    if (Math.abs(offNs) > SURPRISE * halfNs) this.#pace.doubt(middle);
    const correction = Math.abs(offNs) <= halfNs ? 0 : Math.max(offNs / POLICY.slewNs, -HALF_SPEED);
    return {
      mode: this.#mode,
      cycleLast: cycles,
      validCycles: BigInt(Math.floor(POLICY.validNs / this.nsPerCycle)),
      mult: this.#mult(correction),
      shift: this.#shift,
      ...inSeconds(start, NSEC_PER_SEC << bits),
      errorNs: BigInt(Math.ceil(Math.abs(offNs) + halfNs + agedNs)),
      errorPpb,
    };
  }

  #mult(correction: number): number {
    return Math.round(this.nsPerCycle * (1 + correction) * 2 ** this.#shift);
  }

  #shifted(cycles: number): bigint {
    return BigInt(Math.round(cycles * this.nsPerCycle * 2 ** this.#shift));
  }
}

/** The latest that a base gives. */
export function latestNs(base: ClockBase): bigint {
  return shiftedAfter(base, base.validCycles) >> BigInt(base.shift);
}

/** By how much a reading on `base` at `cycles` may be off, in ns; never more than when the base has become too old. */
export function errorBoundNs(base: ClockBase, cycles: bigint, nsPerCycle: number): number {
  const age = clampedToBase(cyclesApart(cycles, base.cycleLast));
  const used = age < base.validCycles ? age : base.validCycles;
  return Number(base.errorNs) + (Number(used) * nsPerCycle * base.errorPpb) / 1e9;
}

/**
 * A line's time at `cycles`, shifted left. Far beyond its validity it goes on at half speed: what it was making good was made
 * good long ago, and it must not run ahead.
 */
function shiftedAt(base: ClockBase, cycles: bigint, halfSpeed: number): bigint {
  const delta = clampedToBase(cyclesApart(cycles, base.cycleLast));
  if (delta <= base.validCycles * LINE_GOES_ON) return shiftedAfter(base, delta);
  return shiftedAfter(base, base.validCycles) + (delta - base.validCycles) * BigInt(halfSpeed);
}

function shiftedAfter({ sec, shiftedNsec, shift, mult }: ClockBase, delta: bigint): bigint {
  return ((sec * NSEC_PER_SEC) << BigInt(shift)) + shiftedNsec + delta * BigInt(mult);
}

/** Rounded down, before 1970 too. */
function inSeconds(shiftedNs: bigint, second: bigint): Pick<ClockBase, 'sec' | 'shiftedNsec'> {
  const shiftedNsec = ((shiftedNs % second) + second) % second;
  return { sec: (shiftedNs - shiftedNsec) / second, shiftedNsec };
}
