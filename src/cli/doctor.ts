import { examine } from '../report/doctor.ts';
import { doctorText } from '../report/doctor-text.ts';
import { toJson } from '../report/json.ts';
import { progressOn } from '../report/text.ts';
import type { Verdict } from '../report/verdict.ts';
import { defineCommand } from './command.ts';

/** 2 is also the status of bad input: neither says anything about the clock. */
const EXIT: Readonly<Record<Verdict, number>> = { sound: 0, unsound: 1, unknown: 2 };

export const command = defineCommand({
  usage: 'doctor [--json]',
  details: `Finds the record that the hypervisor keeps for this guest, decodes every vCPU's, times each reader
and what programs use instead, reads on all vCPUs at once to see whether time ever goes back, and
compares the clock with the kernel's. Takes a few seconds and changes nothing.

Exit status: 0 the clock is sound, 1 it is not, 2 it could not be told.`,
  options: {},
  maxPositionals: 0,
  async run({ json }, { stdout, stderr }) {
    const progress = progressOn(stderr);
    const report = await examine((doing) => progress.show(`${doing} ...`));
    progress.clear();
    stdout.write(json ? toJson(report) : doctorText(report, stdout));
    return EXIT[report.verdict];
  },
});
