import { toJson } from '../report/json.ts';
import { progressOn } from '../report/text.ts';
import { raceMany, UPDATES } from '../report/vm/race.ts';
import { raceText } from '../report/vm/race-text.ts';
import { staleTimes } from '../report/vm/stale.ts';
import { defineCommand, EXIT_OK } from './command.ts';
import { parseName, parseWithin } from './values.ts';
import { CLOCK_OPTION, parseClock, withKvm } from './vm-host.ts';

const EXIT_STALE = 1;

export const command = defineCommand({
  usage: 'vm race [--clock kvm|kvmclock] [--update unstable|set-clock] [--runs N] [--json]',
  details: `The four steps of January 2015 on real vCPUs: all records are stable; the host updates the clock;
vCPU 1 enters, already told by its own record; it reads through record 0, which vCPU 0 would have to
write. Prints both records at each step and what each reader returns on vCPU 1, then how many of
N runs were stale, and for how long record 0 stays old, by where vCPU 0 is meanwhile.

Exit status: 0 no run was stale, 1 some were, 2 there is no KVM here.`,
  options: {
    clock: CLOCK_OPTION,
    update: {
      type: 'string',
      value: 'NAME',
      values: UPDATES,
      default: 'unstable',
      help: 'unstable: the TSCs stop matching (default); set-clock: the clock is set, stays stable',
    },
    runs: { type: 'string', value: 'N', default: '100', help: 'runs, each on a new VM (100 by default)' },
  },
  maxPositionals: 0,
  async run({ values, json }, io) {
    const flavour = parseClock(values.clock);
    const update = parseName('--update', values.update, UPDATES);
    const runs = parseWithin('--runs', values.runs, 1, 1_000_000);
    return await withKvm(io, json, async (kvm) => {
      const progress = progressOn(io.stderr);
      const onRun = (done: number): void => progress.show(`run ${done} of ${runs}`);
      const report = await raceMany(kvm, { update, runs, flavour, onRun });
      const staleFor = await staleTimes(kvm, flavour, (place) => progress.show(`vCPU 0 in place: ${place}`));
      progress.clear();
      io.stdout.write(json ? toJson({ machine: 'kvm', ...report, staleFor }) : raceText(report, staleFor, io.stdout));
      return report.stale > 0 ? EXIT_STALE : EXIT_OK;
    });
  },
});
