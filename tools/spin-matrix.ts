/**
 * The whole matrix of `kvmclock check --all`, each configuration explored here and by Spin, which must come to the same verdict:
 * `node tools/spin-matrix.ts [READER] [--memory sc|tso|both]`. For sc that takes minutes, for tso an hour. With `--mutations` it
 * is the configurations that `kvmclock check --mutations` tries, with the mutation, as far as they are small.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { configurationText } from '../src/checker/explain.ts';
import { matrix } from '../src/checker/matrix.ts';
import { mutantsOf } from '../src/checker/mutations/mutation.ts';
import { MUTATIONS } from '../src/checker/mutations/mutations.ts';
import { type Configuration, MEMORIES } from '../src/checker/scenarios.ts';
import { READERS, type ReaderName } from '../src/guest/readers.ts';
import { spinIsMissing } from './spin.ts';
import { type CompareOptions, CUT_OFF, compared } from './spin-compare.ts';

interface Job {
  readonly configuration: Configuration;
  readonly options: CompareOptions;
}

/** Of a mutation's configurations; Spin's search has several times as many. */
const MOST_STATES = 1_000_000;

const { values, positionals } = parseArgs({
  options: { memory: { type: 'string', default: 'sc' }, mutations: { type: 'boolean' } },
  allowPositionals: true,
});
const missing = spinIsMissing();
const memories = MEMORIES.filter((memory) => values.memory === memory || values.memory === 'both');
const only = (Object.keys(READERS) as ReaderName[]).find((reader) => reader === positionals[0]);
if (missing !== false || memories.length === 0 || (positionals.length > 0 && only === undefined)) {
  console.error(missing === false ? 'usage: spin-matrix.ts [READER] [--memory sc|tso|both] | --mutations' : missing);
  process.exit(2);
}

const jobs: readonly Job[] = values.mutations
  ? mutated()
  : matrix(memories, only).map((configuration) => ({ configuration, options: {} }));
let [next, states, statesInSpin, differing, tooLarge] = [0, 0, 0, 0, 0];
await Promise.all(Array.from({ length: availableParallelism() }, work));
console.log(`${jobs.length - tooLarge} configurations, ${differing} with another verdict`);
console.log(`${states} states here, ${statesInSpin} in Spin; ${tooLarge} configurations too large`);
process.exit(differing === 0 ? 0 : 1);

function mutated(): Job[] {
  return MUTATIONS.flatMap((mutation) =>
    mutation.configurations
      .filter(({ early }) => early === undefined)
      .map((configuration) => ({
        configuration: { ...configuration, mutation: mutation.name },
        options: { mutants: mutantsOf(mutation), bounds: { states: MOST_STATES, bytes: 2 ** 31 } },
      })),
  );
}

async function work(): Promise<void> {
  while (next < jobs.length) {
    const index = next++;
    const complaint = await complaintOf(jobs[index]!);
    if (complaint !== undefined) {
      differing++;
      console.log(complaint);
    } else if (index % 16 === 15) console.log(`${index + 1} of ${jobs.length}`);
  }
}

async function complaintOf({ configuration, options }: Job): Promise<string | undefined> {
  const both = await compared(configuration, options);
  if (options.bounds !== undefined && both.failure === CUT_OFF) {
    tooLarge++;
    return undefined;
  }
  states += both.states;
  statesInSpin += both.statesInSpin;
  if (both.failure === undefined && both.here.join() === both.inSpin.join()) return undefined;
  const text = configurationText({ configuration });
  return `${text}: ${both.failure ?? `${both.here.join()} here, ${both.inSpin.join()} in Spin`}`;
}
