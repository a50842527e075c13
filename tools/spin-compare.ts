/** One configuration, explored here and by Spin on what is exported of it: both verdicts. */
import { configurationText } from '../src/checker/explain.ts';
import { type Bounds, DEFAULT_BOUNDS, explore, violated, witnessed } from '../src/checker/explore.ts';
import { Automata } from '../src/checker/export/automata.ts';
import { gather } from '../src/checker/export/gather.ts';
import { modelOf } from '../src/checker/export/model.ts';
import { promelaText } from '../src/checker/export/promela.ts';
import type { Mutants } from '../src/checker/mutants.ts';
import { type ReductionName, reducedBut } from '../src/checker/reductions.ts';
import { type Configuration, scenarioOf } from '../src/checker/scenarios.ts';
import { makeWorld } from '../src/checker/world.ts';
import { spinVerdict } from './spin.ts';

/** What `failure` says where the search here reached a bound. */
export const CUT_OFF = 'cut off here';

export interface Compared {
  /** What is violated and what was seen to happen, sorted. */
  readonly here: readonly string[];
  readonly inSpin: readonly string[];
  readonly states: number;
  readonly statesInSpin: number;
  /** Why one of the searches says nothing; undefined where both came to their end. */
  readonly failure: string | undefined;
}

export interface CompareOptions {
  readonly unreduced?: readonly ReductionName[];
  /** Shipped functions with something changed on purpose ... */
  readonly mutants?: Mutants;
  /** ... or only in what is exported, to see that the comparison notices. */
  readonly exported?: Mutants;
  readonly bounds?: Bounds;
}

export async function compared(configuration: Configuration, options: CompareOptions = {}): Promise<Compared> {
  const { unreduced = [], mutants, exported, bounds = DEFAULT_BOUNDS } = options;
  const scenario = scenarioOf(configuration, mutants);
  const ours = explore(makeWorld(scenario, reducedBut(unreduced)), { bounds });
  const here = [...violated(ours), ...witnessed(ours)].map(({ name }) => name).sort();
  const { states, complete } = ours;
  if (!complete) return { here, inSpin: [], states, statesInSpin: 0, failure: CUT_OFF };
  const isWhole = exported === undefined && configuration.threads === 1;
  const written = exported === undefined ? scenario : scenarioOf(configuration, exported);
  const automata = isWhole ? new Automata() : gather(written, { bounds }).automata;
  if (isWhole) automata.add(ours.world);
  const text = promelaText(modelOf(written, automata), configurationText({ configuration }));
  const { shown, states: statesInSpin, failure } = await spinVerdict(text, scenario.memory === 'tso' ? '-O1' : '-O0');
  return { here, inSpin: shown, states, statesInSpin, failure };
}
