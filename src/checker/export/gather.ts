/**
 * Which answers threads can be given is found by exploring. For a scenario too large for that, its parts are: each guest thread
 * alone, and two of them with one call each; with these, and the beginning of the whole, the threads of the whole are known, or
 * nearly. What is still missing, the checker that runs the export will say.
 */
import { type Bounds, type ExploreOptions, explore } from '../explore.ts';
import type { Scenario } from '../scenario.ts';
import { makeWorld } from '../world.ts';
import { Automata } from './automata.ts';

/** As many states of the whole are looked at where there are parts. */
const BEGINNING: Bounds = { states: 500_000, bytes: 2 ** 30 };

export interface Gathered {
  readonly automata: Automata;
  /** No search was cut off, but for that of a whole that has parts. */
  readonly complete: boolean;
}

export function gather(scenario: Scenario, options: ExploreOptions = {}): Gathered {
  const automata = new Automata();
  let complete = true;
  const parts = partsOf(scenario);
  for (const part of parts.length === 0 ? [scenario] : parts) {
    const exploration = explore(makeWorld(part), options);
    automata.add(exploration.world);
    complete &&= exploration.complete;
  }
  if (parts.length > 0) automata.add(explore(makeWorld(scenario), { ...options, bounds: BEGINNING }).world);
  return { automata, complete };
}

function partsOf(scenario: Scenario): Scenario[] {
  const { guests } = scenario;
  if (guests.length === 1) return [];
  const alone = guests.filter((calls, at) => at === guests.findIndex((other) => sameCalls(other, calls)));
  const pair = guests.slice(0, 2).map((calls) => calls.slice(0, 1));
  return [...alone.map((calls) => ({ ...scenario, guests: [calls] })), { ...scenario, guests: pair }];
}

function sameCalls(a: readonly object[], b: readonly object[]): boolean {
  return a.length === b.length && a.every((call, at) => call === b[at]);
}
