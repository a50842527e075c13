import { openClock } from '../machine/clock.ts';
import { openLive } from '../machine/live.ts';
import { isUnavailable } from '../machine/sys.ts';
import { benchJavaScript, benchReaders, type Effort } from '../report/bench.ts';
import { javascriptTable, readersTable } from '../report/costs-text.ts';
import { toJson } from '../report/json.ts';
import { progressOn } from '../report/text.ts';
import { defineCommand, EXIT_OK, UsageError } from './command.ts';

const DEFAULT_ROUNDS = 15;
const MOST_ROUNDS = 1000;
const CALLS = 200_000;

export const command = defineCommand({
  usage: 'bench [--rounds N] [--json]',
  details: `Times every reader on this guest's live record by a loop in machine code in this process, beside the
bare TSC and clock_gettime, and the clock's calls from JavaScript beside Node's own. All take turns
in every round; medians are quoted, and ratios of medians: only figures of one run compare.`,
  options: {
    rounds: { type: 'string', value: 'N', help: `rounds that count (${DEFAULT_ROUNDS} by default)` },
  },
  maxPositionals: 0,
  async run({ values, json }, { stdout, stderr }) {
    const rounds = roundsOf(values.rounds);
    const effort: Effort = { rounds, warmUp: 2, calls: CALLS };
    const progress = progressOn(stderr);
    const showing = (what: string) => (done: number, of: number) => progress.show(`${what}: round ${done} of ${of}`);
    const live = openLive();
    const clock = openClock();
    const readers = isUnavailable(live) ? [] : benchReaders(live, effort, showing('readers'));
    const javascript = benchJavaScript(clock, effort, showing('JavaScript'));
    progress.clear();
    const machine = isUnavailable(live) ? 'simulated' : 'live';
    if (json) {
      stdout.write(toJson({ machine, why: clock.reason, rounds, calls: CALLS, readers, javascript }));
      return EXIT_OK;
    }
    if (isUnavailable(live)) stdout.write(`no record to read here: ${live.unavailable}\n`);
    else stdout.write(`${readersTable(stdout, readers)}\n`);
    stdout.write(javascriptTable(stdout, javascript));
    stdout.write(`\nmedian of ${rounds} rounds of ${CALLS} calls; clock: ${clock.source} (${clock.reason})\n`);
    return EXIT_OK;
  },
});

function roundsOf(given: string | undefined): number {
  const rounds = given === undefined ? DEFAULT_ROUNDS : Number(given);
  if (Number.isInteger(rounds) && rounds >= 1 && rounds <= MOST_ROUNDS) return rounds;
  throw new UsageError(`--rounds must be a whole number from 1 to ${MOST_ROUNDS}, got ${JSON.stringify(given)}`);
}
