/** One configuration, explored here and by Spin on what is exported of it: both verdicts. */
import { configurationText } from '../src/checker/explain.ts';
import { explore, violated, witnessed } from '../src/checker/explore.ts';
import { Automata } from '../src/checker/export/automata.ts';
import { gather } from '../src/checker/export/gather.ts';
import { modelOf } from '../src/checker/export/model.ts';
import { promelaText } from '../src/checker/export/promela.ts';
import type { Mutants } from '../src/checker/mutants.ts';
import { type ReductionName, reducedBut } from '../src/checker/reductions.ts';
import { type Configuration, scenarioOf } from '../src/checker/scenarios.ts';
import { makeWorld } from '../src/checker/world.ts';
import { spinVerdict } from './spin.ts';

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
  /** What is exported has something changed on purpose, to see that the comparison notices. */
  readonly exported?: Mutants;
}

export async function compared(configuration: Configuration, options: CompareOptions = {}): Promise<Compared> {
  const scenario = scenarioOf(configuration);
  const ours = explore(makeWorld(scenario, reducedBut(options.unreduced ?? [])));
  const isWhole = options.exported === undefined && configuration.threads === 1;
  const exported = isWhole ? scenario : scenarioOf(configuration, options.exported);
  const automata = isWhole ? new Automata() : gather(exported).automata;
  if (isWhole) automata.add(ours.world);
  const text = promelaText(modelOf(exported, automata), configurationText({ configuration }));
  const theirs = await spinVerdict(text, configuration.memory === 'tso' ? '-O1' : '-O0');
  return {
    here: [...violated(ours), ...witnessed(ours)].map(({ name }) => name).sort(),
    inSpin: theirs.shown,
    states: ours.states,
    statesInSpin: theirs.states,
    failure: ours.complete ? theirs.failure : 'cut off here',
  };
}
