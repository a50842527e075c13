/**
 * How fast one of the kernel's clocks goes by our counter, from samples of it. Two that are far enough apart give its rate to a few
 * parts in 10^6, and better with time. Two in a row tell at once where it goes otherwise than that by more than `ALLOWED_PPB`: a
 * daemon slews it by up to a tenth, or somebody set it. Then nothing is known of it until two intervals agree: until then it may
 * be off by as much as the kernel can be made to go faster or slower.
 */

/** The kernel's clock, at one reading of the counter. */
export interface Sighting {
  readonly cycles: bigint;
  readonly ns: bigint;
  /** The true time at `cycles` is `ns`, give or take so much. */
  readonly halfNs: number;
}

/**
 * How much faster or slower than measured the kernel's clock may have become since. What adjtimex allows by the frequency: from
 * 500 ppm slow to 500 ppm fast in one call. What it allows by the tick's length is more, and is noticed at the next sample.
 */
export const ALLOWED_PPB = 1_000_000;

/** By how much adjtimex can make the kernel's clock faster or slower, with the tick's length and all: a tenth, and some more. */
export const PACE_AT_MOST = 0.12;

/** A rate is taken from two samples that give it to this, and the older one is given up where they give it better still. */
const RATE_KNOWN_TO = 5e-6;
const RATE_SETTLED = 1e-7;
/** Two samples far apart that say more than this are not of one line: somebody set the clock in between. */
const RATE_AT_MOST = 2e-3;

/** ns a cycle, to within so large a part of it. */
interface Pace {
  readonly nsPerCycle: number;
  readonly uncertain: number;
}

export class KernelPace {
  readonly #nominal: number;
  #nsPerCycle: number;
  /** The rate is taken from here on. */
  #anchor: Sighting | undefined;
  #anchorIsUsed = false;
  #latest: Sighting | undefined;
  /** What the last two samples said, where `nsPerCycle` does not know it yet. */
  #unsettled: Pace | undefined;

  /** `nsPerCycle`: the counter's rate, to 500 ppm or so. */
  constructor(nsPerCycle: number) {
    this.#nominal = nsPerCycle;
    this.#nsPerCycle = nsPerCycle;
  }

  /** As far as it is known. */
  get nsPerCycle(): number {
    return this.#nsPerCycle;
  }

  /** Learns from the next sample. Returns by how many parts in 10^9 the kernel's pace may differ from what is known of it. */
  see(sighting: Sighting): number {
    const errorPpb = this.#watch(sighting);
    this.#learn(sighting);
    return errorPpb;
  }

  /** The rate is not the kernel's any more, though none that is better is known yet. */
  doubt(from: Sighting): void {
    if (this.#anchorIsUsed) this.#anchorAt(from);
  }

  #watch(sighting: Sighting): number {
    const [latest, before] = [this.#latest, this.#unsettled];
    this.#latest = sighting;
    this.#unsettled = undefined;
    const pace = latest === undefined ? undefined : this.#between(latest, sighting);
    if (pace === undefined || agree(pace, { nsPerCycle: this.#nsPerCycle, uncertain: 0 })) return ALLOWED_PPB;
    this.#anchorAt(sighting);
    if (before !== undefined && agree(pace, before) && Math.abs(pace.nsPerCycle / this.#nominal - 1) <= PACE_AT_MOST) {
      this.#nsPerCycle = pace.nsPerCycle;
      return ALLOWED_PPB + Math.ceil(pace.uncertain * 1e9);
    }
    this.#unsettled = pace;
    return 2 * PACE_AT_MOST * 1e9; // from the one end to the other
  }

  #learn(sighting: Sighting): void {
    const pace = this.#anchor === undefined ? undefined : this.#between(this.#anchor, sighting);
    if (pace === undefined || Math.abs(pace.nsPerCycle / this.#nominal - 1) > RATE_AT_MOST) {
      this.#anchorAt(sighting);
      return;
    }
    if (pace.uncertain > RATE_KNOWN_TO) return;
    this.#nsPerCycle = pace.nsPerCycle;
    this.#anchorIsUsed = true;
    if (pace.uncertain <= RATE_SETTLED) this.#anchorAt(sighting);
  }

  /** Undefined where the counter did not go on: it was set back. */
  #between(from: Sighting, to: Sighting): Pace | undefined {
    const cycles = Number(to.cycles - from.cycles);
    if (cycles <= 0) return undefined;
    const uncertain = (from.halfNs + to.halfNs) / (cycles * this.#nominal);
    return { nsPerCycle: Number(to.ns - from.ns) / cycles, uncertain };
  }

  #anchorAt(sighting: Sighting): void {
    this.#anchor = sighting;
    this.#anchorIsUsed = false;
  }
}

/** As far as both are known, and as far as a line allows for. */
function agree(one: Pace, other: Pace): boolean {
  return Math.abs(one.nsPerCycle / other.nsPerCycle - 1) <= one.uncertain + other.uncertain + ALLOWED_PPB / 1e9;
}
