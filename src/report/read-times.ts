/**
 * How long single readings take, from readings of the clock one right after the other: what a program sees, the call
 * included. In a mean of many, the rare long ones (an interrupt, a page fault, a vCPU taken off its processor) do not show.
 */
import type { ReadTimes } from '../guest/observed.ts';

/** Bins double in width every eight, from 4 ns up to 8 ms; none is narrower than a nanosecond. */
const FIRST_NS = 4;
const PER_OCTAVE = 8;
const OCTAVES = 21;

/** Where each bin begins; the last has no end. */
export const FROM_NS: readonly number[] = [
  ...new Set([
    0,
    ...Array.from({ length: OCTAVES * PER_OCTAVE + 1 }, (_, step) => Math.round(FIRST_NS * 2 ** (step / PER_OCTAVE))),
  ]),
];

/** The bin of a reading that took `ns`: the last that begins at or before it. */
export function binOf(ns: number): number {
  let low = 0;
  let high = FROM_NS.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (FROM_NS[middle]! <= ns) low = middle;
    else high = middle;
  }
  return low;
}

export class ReadTimeCounter {
  readonly #counts = new Array<number>(FROM_NS.length).fill(0);

  /** Counts `readings` times from one reading to the next right behind it; the counting is in none of them. */
  add(now: () => bigint, readings: number): void {
    const counts = this.#counts;
    let last = now();
    for (let i = 0; i < readings; i++) {
      const next = now();
      const bin = binOf(Number(next - last));
      counts[bin] = counts[bin]! + 1;
      last = now();
    }
  }

  /** The bins from the first to the last that hold any, and the one behind, so that the last has its end. */
  counted(): ReadTimes {
    const first = Math.max(
      0,
      this.#counts.findIndex((count) => count > 0),
    );
    const end = this.#counts.findLastIndex((count) => count > 0) + 1;
    const behind = end === 0 ? 0 : end + 1;
    return { fromNs: FROM_NS.slice(first, behind), counts: this.#counts.slice(first, behind) };
  }
}
