/** One configuration explored: its verdict, each violation with its shortest trace. */
import { type Exploration, type ExploreOptions, explore, type Found, violated, witnessed } from './explore.ts';
import type { Mutants } from './mutants.ts';
import type { PropertyName, WitnessName } from './properties.ts';
import { type ReductionName, reducedBut } from './reductions.ts';
import { formatReplay } from './replay-string.ts';
import { type Configuration, scenarioOf } from './scenarios.ts';
import { scheduleTo } from './trace.ts';
import { makeWorld } from './world.ts';

/** A property, or something that must happen, with the shortest way there. */
export interface Finding<Name = PropertyName> {
  readonly property: Name;
  readonly steps: number;
  /** What `kvmclock replay` takes. */
  readonly replay: string;
}

export interface Verdict {
  readonly configuration: Configuration;
  /** False where the search was cut off by a bound: it is then no pass, whatever was found. */
  readonly complete: boolean;
  readonly states: number;
  readonly transitions: number;
  /** Bytes that the states took. */
  readonly bytes: number;
  readonly violated: readonly Finding[];
  readonly witnessed: readonly Finding<WitnessName>[];
}

export interface CheckOptions extends ExploreOptions {
  /** Shipped functions with something changed on purpose. */
  readonly mutants?: Mutants;
  /** Reductions to do without. */
  readonly unreduced?: readonly ReductionName[];
}

export function check(configuration: Configuration, options: CheckOptions = {}): Verdict {
  const { mutants, unreduced = [] } = options;
  const exploration = explore(makeWorld(scenarioOf(configuration, mutants), reducedBut(unreduced)), options);
  const { complete, states, transitions, set } = exploration;
  const finding = <Name extends PropertyName | WitnessName>(found: Found<Name>): Finding<Name> => ({
    property: found.name,
    steps: found.steps,
    replay: replayOf(configuration, exploration, found),
  });
  return {
    configuration,
    complete,
    states,
    transitions,
    bytes: set.bytes,
    violated: violated(exploration).map(finding),
    witnessed: witnessed(exploration).map(finding),
  };
}

function replayOf(configuration: Configuration, exploration: Exploration, found: Found): string {
  return formatReplay({ configuration, schedule: scheduleTo(exploration, found) });
}
