import { toJson } from '../report/json.ts';
import { progressOn } from '../report/text.ts';
import { conform } from '../report/vm/conform.ts';
import { conformText } from '../report/vm/conform-text.ts';
import { defineCommand, EXIT_OK } from './command.ts';
import { CLOCK_OPTION, parseClock, withKvm } from './vm-host.ts';

const EXIT_BROKEN = 1;

export const command = defineCommand({
  usage: 'vm conform [--clock kvm|kvmclock] [--json]',
  details: `Measures on real vCPUs what this host's KVM promises of its clock and what it does, case by case:
the clock as it is set and read, the records and their MSRs, what updates do to vCPUs that read,
pause, save and restore. A trap is a promise that is kept and hurts those who do not know it. Each
case that is not simply kept says what a VMM can do about it.

Exit status: 0 every promise is kept, 1 some are broken, 2 there is no KVM here.`,
  options: { clock: CLOCK_OPTION },
  maxPositionals: 0,
  async run({ values, json }, io) {
    const flavour = parseClock(values.clock);
    return await withKvm(io, json, async (kvm) => {
      const progress = progressOn(io.stderr);
      const cases = await conform(kvm, flavour, (name) => progress.show(`${name} ...`));
      progress.clear();
      const { clock } = values;
      io.stdout.write(json ? toJson({ machine: 'kvm', clock, cases }) : conformText(cases, clock, io.stdout));
      return cases.some(({ verdict }) => verdict === 'broken') ? EXIT_BROKEN : EXIT_OK;
    });
  },
});
