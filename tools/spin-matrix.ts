/**
 * The whole matrix of `kvmclock check --all`, each configuration explored here and by Spin, which must come to the same verdict:
 * `node tools/spin-matrix.ts [READER] [--memory sc|tso|both]`. For sc that takes minutes, for tso an hour.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { configurationText } from '../src/checker/explain.ts';
import { matrix } from '../src/checker/matrix.ts';
import { type Configuration, MEMORIES } from '../src/checker/scenarios.ts';
import { READERS, type ReaderName } from '../src/guest/readers.ts';
import { spinIsMissing } from './spin.ts';
import { compared } from './spin-compare.ts';

const { values, positionals } = parseArgs({
  options: { memory: { type: 'string', default: 'sc' } },
  allowPositionals: true,
});
const missing = spinIsMissing();
const memories = MEMORIES.filter((memory) => values.memory === memory || values.memory === 'both');
const only = (Object.keys(READERS) as ReaderName[]).find((reader) => reader === positionals[0]);
if (missing !== false || memories.length === 0 || (positionals.length > 0 && only === undefined)) {
  console.error(missing === false ? 'usage: spin-matrix.ts [READER] [--memory sc|tso|both]' : missing);
  process.exit(2);
}

const configurations = matrix(memories, only);
let [next, states, statesInSpin, differing] = [0, 0, 0, 0];
await Promise.all(Array.from({ length: availableParallelism() }, work));
console.log(
  `${configurations.length} configurations, ${differing} with another verdict; ${states} states here, ${statesInSpin} in Spin`,
);
process.exit(differing === 0 ? 0 : 1);

async function work(): Promise<void> {
  while (next < configurations.length) {
    const index = next++;
    const complaint = await complaintOf(configurations[index]!);
    if (complaint !== undefined) {
      differing++;
      console.log(complaint);
    } else if (index % 16 === 15) console.log(`${index + 1} of ${configurations.length}`);
  }
}

async function complaintOf(configuration: Configuration): Promise<string | undefined> {
  const both = await compared(configuration);
  states += both.states;
  statesInSpin += both.statesInSpin;
  if (both.failure === undefined && both.here.join() === both.inSpin.join()) return undefined;
  const text = configurationText({ configuration });
  return `${text}: ${both.failure ?? `${both.here.join()} here, ${both.inSpin.join()} in Spin`}`;
}
