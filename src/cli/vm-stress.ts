import { Guest } from '../machine/kvm/guest.ts';
import { MAX_GUEST_VCPUS } from '../machine/kvm/guest-memory.ts';
import { toJson } from '../report/json.ts';
import { isWhole } from '../report/stress.ts';
import { grouped, type Output, progressOn, styled, table } from '../report/text.ts';
import { STRESS_READERS, type StressReport, stress } from '../report/vm/stress.ts';
import { formatNs } from '../scale/duration.ts';
import { defineCommand, EXIT_OK } from './command.ts';
import { parseName, parseWithin } from './values.ts';
import { CLOCK_OPTION, parseClock, withKvm } from './vm-host.ts';

const EXIT_UNSOUND = 1;

export const command = defineCommand({
  usage: 'vm stress [--clock kvm|kvmclock] [--reader NAME] [--vcpus N] [--seconds N] [--json]',
  details: `Every vCPU of a guest reads at native speed while the host takes new bases for the clock as fast as
the guest can still get on. Counts readings, records that were being written when they were read
(retries), records of mixed updates (torn), readings behind one that another vCPU had been given
(warps), and records 0 on another line than the own record of the vCPU that read it (stale).

Exit status: 0 nothing torn, no warp, nothing stale; 1 otherwise; 2 there is no KVM here.`,
  options: {
    clock: CLOCK_OPTION,
    reader: {
      type: 'string',
      value: 'NAME',
      values: STRESS_READERS,
      default: 'landed',
      help: `${STRESS_READERS.join(', ')} (landed by default)`,
    },
    vcpus: { type: 'string', value: 'N', default: '2', help: 'vCPUs that read (2 by default)' },
    seconds: { type: 'string', value: 'N', default: '10', help: 'how long (10 by default)' },
  },
  maxPositionals: 0,
  async run({ values, json }, io) {
    const flavour = parseClock(values.clock);
    const reader = parseName('--reader', values.reader, STRESS_READERS);
    const vcpus = parseWithin('--vcpus', values.vcpus, 1, MAX_GUEST_VCPUS);
    const seconds = parseWithin('--seconds', values.seconds, 1, 86_400);
    return await withKvm(io, json, async (kvm) => {
      const progress = progressOn(io.stderr);
      await using guest = await Guest.create(kvm, { vcpus, flavour });
      const onProgress = (passed: number): void => progress.show(`${passed.toFixed(0)} of ${seconds} s`);
      const report = await stress(guest, { reader, seconds, onProgress });
      progress.clear();
      const clock = values.clock;
      io.stdout.write(
        json
          ? toJson({ machine: 'kvm', clock, reader, vcpus, ...report })
          : text(report, `${reader} on ${vcpus} vCPUs, clock kept by ${clock}`, io.stdout),
      );
      return isWhole(report) ? EXIT_OK : EXIT_UNSOUND;
    });
  },
});

function text(report: StressReport, what: string, output: Output): string {
  const fault = (count: number): string => (count > 0 ? styled(output, 'red', grouped(count)) : grouped(count));
  const rows = [
    ['  readings', grouped(report.reads)],
    ['  updates', grouped(report.updates)],
    ['  retries', grouped(report.retries)],
    ['  refused as not stable', grouped(report.unstable)],
    ['  stalls', grouped(report.stalls)],
    ['  torn', fault(report.torn)],
    ['  stale', fault(report.stale)],
    ['  warps', fault(report.warps), report.warps > 0 ? `at worst ${formatNs(report.worstWarpNs)}` : ''],
  ];
  return `${what}, ${report.seconds.toFixed(1)} s\n${table(rows, ['left', 'right'])}`;
}
