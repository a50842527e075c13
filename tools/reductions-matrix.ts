/**
 * Every configuration of the matrix, with one call, explored with all reductions and without some of them: what is violated, what
 * happens and which outcomes calls have must be the same. `node tools/reductions-matrix.ts [READER] [--memory sc|tso]
 * [--unreduced NAMES]`; for sc that takes minutes, for tso half an hour.
 */
import { parseArgs } from 'node:util';
import { configurationText } from '../src/checker/explain.ts';
import { matrix } from '../src/checker/matrix.ts';
import { REDUCTION_NAMES } from '../src/checker/reductions.ts';
import { MEMORIES } from '../src/checker/scenarios.ts';
import { READERS, type ReaderName } from '../src/guest/readers.ts';
import { reachedBy } from './reached.ts';

/** All that can be switched off altogether. */
const STEPS = REDUCTION_NAMES.filter((name) => name !== 'rounds').join();
const BOUNDS = { states: 100_000_000, bytes: 2 ** 32 };

const { values, positionals } = parseArgs({
  options: { memory: { type: 'string', default: 'sc' }, unreduced: { type: 'string', default: STEPS } },
  allowPositionals: true,
});
const memory = MEMORIES.find((name) => name === values.memory);
const unreduced = values.unreduced.split(',').flatMap((name) => REDUCTION_NAMES.find((known) => known === name) ?? []);
const only = (Object.keys(READERS) as ReaderName[]).find((reader) => reader === positionals[0]);
if (memory === undefined || unreduced.length === 0 || (positionals.length > 0 && only === undefined)) {
  console.error(`usage: reductions-matrix.ts [READER] [--memory sc|tso] [--unreduced ${REDUCTION_NAMES.join()}]`);
  process.exit(2);
}

let [reducedStates, fullStates, differing] = [0, 0, 0];
const configurations = matrix([memory], only).map((one) => ({ ...one, calls: 1, kernel: 'none' as const }));
for (const [index, configuration] of configurations.entries()) {
  const reduced = reachedBy(configuration, [], BOUNDS);
  const full = reachedBy(configuration, unreduced, BOUNDS);
  reducedStates += reduced.states;
  fullStates += full.states;
  const alike = reduced.found.join() === full.found.join() && reduced.outcomes.join('\n') === full.outcomes.join('\n');
  if (!alike || !reduced.complete || !full.complete) {
    differing++;
    console.log(`${configurationText({ configuration })}: ${reduced.found.join()}, without ${full.found.join()}`);
  } else if (index % 16 === 15) console.log(`${index + 1} of ${configurations.length}`);
}
console.log(`${configurations.length} configurations, ${differing} that differ without ${unreduced.join(', ')}`);
console.log(`${reducedStates} states, ${fullStates} without`);
process.exit(differing === 0 ? 0 : 1);
