import { accessSync, constants, statSync } from 'node:fs';
import { type DoctorReport, examine } from '../report/doctor.ts';
import { doctorText } from '../report/doctor-text.ts';
import { toJson } from '../report/json.ts';
import { progressOn } from '../report/text.ts';
import type { Verdict } from '../report/verdict.ts';
import { defineCommand, UsageError } from './command.ts';
import { whyNotWritten } from './failure.ts';
import { MACHINE_OPTION, MACHINES, type MachineName, refuseWithoutHrtime } from './machine-option.ts';
import { parseName } from './values.ts';
import { version } from './version.ts';

/** 2 is also the status of bad input: neither says anything about the clock. */
const EXIT: Readonly<Record<Verdict, number>> = { sound: 0, unsound: 1, unknown: 2 };

export const command = defineCommand({
  usage: 'doctor [--machine live|simulated] [--textfile DIR] [--json]',
  details: `Finds the record that the hypervisor keeps for this guest, decodes every vCPU's, times each reader
and what programs use instead, reads on all vCPUs at once to see whether time ever goes back, and
compares the clock with the kernel's. Takes a few seconds and changes nothing.

With --textfile it also writes kvmclock.prom into DIR, the folder that node_exporter is told of by
--collector.textfile.directory: what \`kvmclock serve\` answers at /metrics, from this one run.

Where there is no record it looks at a simulated VM in its place, which says nothing of this machine,
so the answer is "could not be told". With --machine simulated it judges that VM itself: whether
the clock that our hypervisor keeps for it, and our readers, are sound on this Node.

Exit status: 0 the clock is sound, 1 it is not, 2 it could not be told.`,
  options: {
    machine: MACHINE_OPTION,
    textfile: { type: 'string', value: 'DIR', help: 'also write the metrics into this folder, for node_exporter' },
  },
  maxPositionals: 0,
  async run({ values, json }, { stdout, stderr }) {
    const folder = values.textfile;
    const machine = parseName('--machine', values.machine, MACHINES);
    if (folder !== undefined) checkFolder(folder, machine);
    if (machine === 'simulated') refuseWithoutHrtime();
    const progress = progressOn(stderr);
    const report = await examine((doing) => progress.show(`${doing} ...`), machine);
    progress.clear();
    if (folder !== undefined) await write(folder, report);
    stdout.write(json ? toJson(report) : doctorText(report, stdout));
    return EXIT[report.verdict];
  },
});

/** Before the measurements, so that nobody waits for them in vain. */
function checkFolder(folder: string, machine: MachineName): void {
  if (machine !== 'live') {
    throw new UsageError(`--textfile writes the metrics of this machine's own clock; leave --machine ${machine} away`);
  }
  try {
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
      throw new UsageError(`--textfile takes a folder that is there, not ${JSON.stringify(folder)}; make it first`);
    }
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw notWritten(folder, error);
  }
}

async function write(folder: string, report: DoctorReport): Promise<void> {
  const { writeTextfile } = await import('../report/textfile.ts'); // prom-client, only where it is asked for
  try {
    await writeTextfile(folder, report, version());
  } catch (error) {
    throw notWritten(folder, error);
  }
}

function notWritten(folder: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return error;
  return new UsageError(`--textfile: cannot write into ${JSON.stringify(folder)}: ${whyNotWritten(code)}`);
}
