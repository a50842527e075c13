/**
 * Performs on real vCPUs what the checker finds in its matrix: of every configuration of two vCPUs that has machine code and an
 * update that can be made, the shortest trace of each property and of each thing that happens. Takes some minutes, and
 * writers or memory models as arguments: `node tools/replay-matrix.ts 2015 tso`. Exit status 1 where a trace came out otherwise.
 */
import { parseArgs } from 'node:util';
import { check } from '../src/checker/check.ts';
import { parseReplay } from '../src/checker/replay-string.ts';
import {
  type Configuration,
  DEFAULT_CONFIGURATION,
  HOSTS,
  MEMORIES,
  scenarioOf,
  WRITERS,
} from '../src/checker/scenarios.ts';
import { perform } from '../src/checker/trace.ts';
import { type Kvm, openKvm } from '../src/machine/kvm/kvm.ts';
import { isUnavailable } from '../src/machine/sys.ts';
import { RACERS, UPDATES } from '../src/report/vm/race.ts';
import { replayOnKvm } from '../src/report/vm/replay.ts';

const { positionals } = parseArgs({ allowPositionals: true });
const chosen = <N extends string>(names: readonly N[], fallback: readonly N[]): readonly N[] => {
  const wanted = names.filter((name) => positionals.includes(name));
  return wanted.length > 0 ? wanted : fallback;
};
const opened = openKvm();
if (isUnavailable(opened)) {
  console.error(opened.unavailable);
  process.exit(2);
}
using kvm: Kvm = opened;
const tally = { same: 0, otherwise: 0, refused: 0 };
for (const memory of chosen(MEMORIES, ['sc'])) {
  for (const writer of chosen(WRITERS, ['today'])) {
    for (const reader of RACERS)
      for (const host of HOSTS)
        for (const update of UPDATES)
          await performAll({ ...DEFAULT_CONFIGURATION, reader, host, update, writer, memory });
  }
}
console.log(
  `${tally.same} traces came out the same, ${tally.otherwise} otherwise; ${tally.refused} cannot be performed`,
);
if (tally.otherwise > 0) process.exitCode = 1;

async function performAll(configuration: Configuration): Promise<void> {
  const { violated, witnessed } = check(configuration);
  for (const { property, replay } of [...violated, ...witnessed]) {
    const steps = perform(scenarioOf(configuration), parseReplay(replay).schedule);
    const real = await replayOnKvm(kvm, configuration, steps);
    const outcome = isUnavailable(real) ? 'refused' : real.same ? 'same' : 'otherwise';
    tally[outcome]++;
    if (outcome !== 'same') console.log(`${outcome}: ${property}: ${isUnavailable(real) ? real.unavailable : replay}`);
  }
}
