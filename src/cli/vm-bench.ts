import { Guest } from '../machine/kvm/guest.ts';
import type { Effort } from '../report/bench.ts';
import { readersTable } from '../report/costs-text.ts';
import { toJson } from '../report/json.ts';
import { grouped, progressOn } from '../report/text.ts';
import { benchGuest } from '../report/vm/bench.ts';
import { hostCosts } from '../report/vm/costs.ts';
import { hostText } from '../report/vm/costs-text.ts';
import { defineCommand, EXIT_OK } from './command.ts';
import { parseWithin } from './values.ts';
import { CLOCK_OPTION, parseClock, withKvm } from './vm-host.ts';

export const command = defineCommand({
  usage: 'vm bench [--clock kvm|kvmclock] [--rounds N] [--calls N] [--json]',
  details: `Runs a guest on the real KVM and times every reader there, as machine code on a real vCPU, on the
record that is kept for it there, beside the bare TSC and the read of the vCPU's number. All take turns
in every round; medians are quoted, and ratios of medians: only figures of one run compare. Then what
it costs the host: a WRMSR of the clock, and an update of a VM of 8 vCPUs.`,
  options: {
    clock: CLOCK_OPTION,
    rounds: { type: 'string', value: 'N', default: '7', help: 'rounds that count (7 by default)' },
    calls: { type: 'string', value: 'N', default: '2000000', help: 'calls a round (2 000 000 by default)' },
  },
  maxPositionals: 0,
  async run({ values, json }, io) {
    const effort: Effort = {
      rounds: parseWithin('--rounds', values.rounds, 1, 1000),
      calls: parseWithin('--calls', values.calls, 1, 1_000_000_000),
      warmUp: 1,
    };
    const flavour = parseClock(values.clock);
    return await withKvm(io, json, async (kvm) => {
      const progress = progressOn(io.stderr);
      await using guest = await Guest.create(kvm, { vcpus: 1, flavour });
      guest.enableRecord(0);
      const readers = await benchGuest(guest, effort, (done, of) => progress.show(`round ${done} of ${of}`));
      progress.show('the costs of the host');
      const host = await hostCosts(kvm, flavour);
      progress.clear();
      const { rounds, calls } = effort;
      const { orderedTsc } = guest;
      if (json) {
        const clock = values.clock;
        io.stdout.write(toJson({ machine: 'kvm', clock, orderedTsc, rounds, calls, readers, javascript: [], host }));
        return EXIT_OK;
      }
      io.stdout.write(readersTable(io.stdout, readers));
      io.stdout.write(`\n${hostText(host, values.clock, io.stdout)}`);
      io.stdout.write(
        `\non a real vCPU, the clock kept by ${values.clock}; ordered TSC reads by ${orderedTsc}; ` +
          `median of ${rounds} rounds of ${grouped(calls)} calls\n`,
      );
      return EXIT_OK;
    });
  },
});
