/** What calls have given their callers, each outcome numbered once, with what the search needs to know of it in flat arrays. */
import type { Clocks } from './clocks.ts';
import { bitOf } from './properties.ts';
import type { Outcome } from './scenario.ts';

/** More outcomes than this, and the scenario is not a small one. */
const MAX_OUTCOMES = 4096;

export class Outcomes {
  /** Of each outcome: the number of its time (0: none), the stamp of its bit (-1: none), what it shows by itself. */
  readonly time = new Int32Array(MAX_OUTCOMES);
  readonly bit = new Int32Array(MAX_OUTCOMES);
  readonly found = new Int32Array(MAX_OUTCOMES);
  readonly #all: Outcome[] = [];
  readonly #ids = new Map<string, number>();
  readonly #clocks: Clocks;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
  }

  /** Outcomes known. */
  get count(): number {
    return this.#all.length;
  }

  get(id: number): Outcome {
    return this.#all[id]!;
  }

  intern(outcome: Outcome): number {
    const key = `${outcome.ns} ${outcome.bit} ${outcome.broken.join()} ${outcome.isCall} ${outcome.wall} ${outcome.result}`;
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    if (this.#all.length === MAX_OUTCOMES) throw new RangeError(`checker: more than ${MAX_OUTCOMES} outcomes of calls`);
    const id = this.#all.push(outcome) - 1;
    this.#ids.set(key, id);
    this.time[id] = outcome.ns === undefined ? 0 : this.#clocks.time(outcome.ns);
    this.bit[id] = outcome.bit;
    this.found[id] = shownBy(outcome);
    return id;
  }
}

/** What a call shows by itself, a bit each: what it breaks, and its verdict on the record. */
export function shownBy({ ns, broken, isCall, wall, result }: Outcome): number {
  const verdict = isCall ? bitOf(ns === undefined || result === 'kernel' ? 'unstable' : 'stable') : 0;
  return broken.reduce((bits, name) => bits | bitOf(name), verdict | (wall > 0 ? bitOf('updated') : 0));
}
