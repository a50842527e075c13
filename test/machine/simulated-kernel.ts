/**
 * A kernel's clock over a counter, set and slewed at will, and a machine to keep it on: the page of bases in plain memory, read
 * by the plain clock_gettime in the image's place.
 */
import { CLOCK_MODE } from '../../src/abi/clock-base.ts';
import { CLOCK_REALTIME } from '../../src/abi/clock-id.ts';
import { clockGettime } from '../../src/guest/clock-gettime.ts';
import type { Sample } from '../../src/machine/discipline.ts';
import { type ClockHost, type CounterMode, KeptClock } from '../../src/machine/kept-clock.ts';
import { fromTimespec, toTimespec } from '../../src/scale/timespec.ts';
import { ClockWorld, PAGE } from '../guest/clock-world.ts';

/** Bits behind the point of the kernel's rate. */
const BITS = 48n;

/** 2.6 GHz. */
export const NS_PER_CYCLE = 1 / 2.6;
export const CYCLES_PER_US = 2600n;

export class SimulatedKernel {
  readonly world = new ClockWorld(5_000_000_000n, 7n);
  #at = this.world.tsc;
  #shiftedNs: bigint;
  #mult = multOf(0);

  constructor(startNs: bigint) {
    this.#shiftedNs = startNs << BITS;
  }

  /** The clock at this moment. */
  ns(): bigint {
    return (this.#shiftedNs + (this.world.tsc - this.#at) * this.#mult) >> BITS;
  }

  /** From now on it runs faster than the counter's true rate by so much. */
  slew(ppm: number): void {
    this.#take();
    this.#mult = multOf(ppm);
  }

  step(ns: bigint): void {
    this.#take();
    this.#shiftedNs += ns << BITS;
  }

  #take(): void {
    this.#shiftedNs += (this.world.tsc - this.#at) * this.#mult;
    this.#at = this.world.tsc;
  }
}

const multOf = (ppm: number): bigint => BigInt(Math.round(NS_PER_CYCLE * (1 + ppm * 1e-6) * 2 ** Number(BITS)));

export class KeptOnSimulated {
  readonly kernel: SimulatedKernel;
  readonly clock: KeptClock;
  /** Whether the record is stable: while it is not, what counts by it cannot be read. */
  isStable = true;
  mode: CounterMode = CLOCK_MODE.TSC;
  /** What happens before the counter is read, once each: the cycles that the thread is held up for, or that the record is no longer stable. */
  holdUps: (bigint | 'unreadable')[] = [];
  /** How often the kernel was asked, and how often a sample was taken. */
  asks = 0;
  samples = 0;
  #asked = false;
  readonly #read: () => bigint;

  /** `sides`: cycles before and behind the kernel's reading in a sample, one pair after the other, again and again. */
  constructor(startNs: bigint, nominalPpm: number, sides: readonly (readonly [bigint, bigint])[]) {
    const kernel = new SimulatedKernel(startNs);
    const { world } = kernel;
    this.kernel = kernel;
    const readable = (mode: CounterMode): boolean => mode === CLOCK_MODE.TSC || this.isStable;
    const host: ClockHost = {
      cpu: world,
      bases: PAGE.bases,
      counting: () => ({ mode: this.mode, nsPerCycle: NS_PER_CYCLE * (1 + nominalPpm * 1e-6) }),
      counter: (mode) => {
        const holdUp = this.holdUps.shift() ?? 0n;
        if (holdUp === 'unreadable') this.isStable = false;
        else world.tsc += holdUp;
        return readable(mode) ? world.rdtscOrdered() : undefined;
      },
      sample: (mode): Sample | undefined => {
        if (!readable(mode)) return undefined;
        const [ahead, behind] = sides[this.samples++ % sides.length]!;
        const before = world.tsc;
        world.tsc += ahead;
        const kernelNs = kernel.ns();
        world.tsc += behind;
        return { before, after: world.tsc, kernelNs };
      },
      kernelWasAsked: () => {
        const asked = this.#asked;
        this.#asked = false;
        return asked;
      },
    };
    // What counts by the record counts by the TSC here, while it is stable.
    const page = { ...PAGE, read: () => (this.isStable ? world.rdtscOrdered() : undefined) };
    this.#read = () => {
      const time = clockGettime(world, page, CLOCK_REALTIME, () => {
        this.#asked = true;
        this.asks++;
        return toTimespec(kernel.ns());
      });
      if (typeof time === 'number') throw new Error(`errno ${-time}`);
      return fromTimespec(time);
    };
    this.clock = new KeptClock(host, CLOCK_REALTIME, this.#read);
  }

  /** A reading, as a program makes it. */
  read(): bigint {
    this.kernel.world.log.length = 0;
    this.#asked = false;
    const ns = this.#read();
    if (!this.#asked) return ns;
    this.#asked = false;
    return this.clock.settle(ns);
  }
}
