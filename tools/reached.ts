/** What a search reaches, with and without reductions: for those who compare. */
import { type Bounds, DEFAULT_BOUNDS, explore } from '../src/checker/explore.ts';
import type { PropertyName, WitnessName } from '../src/checker/properties.ts';
import { type ReductionName, reducedBut } from '../src/checker/reductions.ts';
import { type Configuration, scenarioOf } from '../src/checker/scenarios.ts';
import { makeWorld } from '../src/checker/world.ts';

export interface Reached {
  readonly complete: boolean;
  readonly states: number;
  readonly transitions: number;
  /** What is violated, and what happens. */
  readonly found: readonly (PropertyName | WitnessName)[];
  /** Every outcome that a call can have, as a text. */
  readonly outcomes: readonly string[];
}

export function reachedBy(
  configuration: Configuration,
  unreduced: readonly ReductionName[],
  bounds: Bounds = DEFAULT_BOUNDS,
): Reached {
  const { world, complete, states, transitions, found } = explore(
    makeWorld(scenarioOf(configuration), reducedBut(unreduced)),
    { bounds },
  );
  const outcomes = Array.from({ length: world.outcomes.count }, (_, id) =>
    Object.values(world.outcomes.get(id)).join(' '),
  );
  return { complete, states, transitions, found: found.map(({ name }) => name).sort(), outcomes: outcomes.sort() };
}
