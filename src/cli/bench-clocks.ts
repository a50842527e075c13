/** What `kvmclock bench --clocks` runs: the kernel's clocks without the kernel, held to the kernel. */
import type { LiveMachine } from '../machine/live.ts';
import { isUnavailable, type Unavailable } from '../machine/sys.ts';
import { kernelClocks } from '../machine/timekeeper.ts';
import { checkClocks, clockCosts, LOOPS } from '../report/clocks.ts';
import { clockChecksTable, clockCostsTable } from '../report/clocks-text.ts';
import { toJson } from '../report/json.ts';
import { grouped, progressOn } from '../report/text.ts';
import { EXIT_OK, EXIT_USAGE, type Io } from './command.ts';

const EXIT_OFF = 1;
const COST_CALLS = 20_000;

/** Exit status 1 where a reading was beyond its bound or behind the one before, 2 where there is nothing to be read. */
export async function benchClocks(
  live: LiveMachine | Unavailable,
  seconds: number,
  rounds: number,
  json: boolean,
  { stdout, stderr }: Io,
): Promise<number> {
  if (isUnavailable(live)) {
    const why = live.unavailable;
    stdout.write(
      json ? toJson({ machine: undefined, why, clocks: [], costs: [] }) : `no record to read here: ${why}\n`,
    );
    return EXIT_USAGE;
  }
  const progress = progressOn(stderr);
  const clocks = kernelClocks(live);
  const checks = await checkClocks(clocks, live.sys, seconds, (passed) =>
    progress.show(`clocks: ${passed.toFixed(0)} of ${seconds} s`),
  );
  const costs = clockCosts(clocks, live.image.kvmclock_now, rounds, COST_CALLS, (done, of) =>
    progress.show(`costs: round ${done} of ${of}`),
  );
  progress.clear();
  if (json) stdout.write(toJson({ machine: 'live', why: live.where, seconds, rounds, clocks: checks, costs }));
  else {
    stdout.write(`${clockChecksTable(stdout, checks)}\n${clockCostsTable(stdout, costs)}\n`);
    stdout.write(
      `outside: further from clock_gettime than its bound; off: from the middle of two readings of it\n` +
        `${seconds} s; median of ${rounds} rounds of ${LOOPS} times ${grouped(COST_CALLS)} calls\n`,
    );
  }
  return checks.every(({ outside, stepsBack }) => outside === 0 && stepsBack === 0) ? EXIT_OK : EXIT_OFF;
}
