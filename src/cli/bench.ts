import { openClock } from '../machine/clock.ts';
import { type LiveMachine, openLive } from '../machine/live.ts';
import { SimulatedMachine } from '../machine/simulated/simulated.ts';
import { isUnavailable, type Unavailable } from '../machine/sys.ts';
import { benchJavaScript, benchReaders, type Effort, type ReaderCost } from '../report/bench.ts';
import { benchSimulated } from '../report/bench-simulated.ts';
import { IN_TYPESCRIPT, javascriptTable, readersTable } from '../report/costs-text.ts';
import { toJson } from '../report/json.ts';
import { grouped, progressOn } from '../report/text.ts';
import { benchClocks } from './bench-clocks.ts';
import { benchOnSimulated, checkStressOptions, STRESS_OPTIONS, stressSimulated } from './bench-simulated.ts';
import { defineCommand, EXIT_OK, type Io, UsageError } from './command.ts';
import { MACHINE_OPTION, MACHINES, refuseWithoutHrtime } from './machine-option.ts';
import { parseName, parseWithin } from './values.ts';

const ROUNDS = '15';
const CALLS = 200_000;
/** A reader in TypeScript takes ten times as long, or more. */
const SIMULATED_CALLS = 20_000;
const MOST_SECONDS = 86_400;

export const command = defineCommand({
  usage: 'bench [--machine live|simulated] [--rounds N] [--clocks] [--stress SECONDS ...] [--json]',
  details: `Times every reader on this guest's live record by a loop in machine code in this process, beside the
bare TSC and clock_gettime, and the clock's calls from JavaScript beside Node's own. All take turns
in every round; medians are quoted, and ratios of medians: only figures of one run compare.

With --clocks: the kernel's clocks as realtime(), monotonic(), boottime() and monotonicRaw() read them, held
to clock_gettime around each reading for so many seconds. The exit status is 1 where a reading was
further from it than its stated bound, or behind the one before.

With --machine simulated: the readers in TypeScript on a simulated VM, what it costs to publish a record
and to update a VM of up to 1 024 vCPUs, and how far a day of refreshes, and moves to other hosts, put
its clock off.

With --stress too, every vCPU of that VM reads, with each reader in turns (landed, cached and before unless
--reader names others), while its host updates the clock as fast as the guest can still get on. Counted
are repeated rounds (retries), readings that mix two updates (torn), readings by an older line than the
vCPU had been told of (stale), readings behind one that somebody had been given (warps) or equal to it
(stalls), and those refused as not stable. The other options put one thing in the place of the flavour's
own. The exit status is 1 where a reading was torn, stale or behind another.`,
  options: {
    machine: MACHINE_OPTION,
    rounds: { type: 'string', value: 'N', default: ROUNDS, help: `rounds that count (${ROUNDS} by default)` },
    clocks: { type: 'boolean', help: "hold the kernel's clocks to the kernel, instead of timing the readers" },
    seconds: { type: 'string', value: 'N', help: 'for so long, with --clocks (3 by default)' },
    ...STRESS_OPTIONS,
  },
  maxPositionals: 0,
  async run({ values, json }, io) {
    const rounds = parseWithin('--rounds', values.rounds, 1, 1000);
    const simulated = parseName('--machine', values.machine, MACHINES) === 'simulated';
    checkStressOptions(values, simulated);
    const seconds = secondsOf(values.clocks === true, values.seconds, simulated);
    if (values.stress !== undefined) {
      if (values.rounds !== ROUNDS) throw new UsageError('--rounds changes nothing with --stress; leave it out');
      refuseWithoutHrtime();
      return await stressSimulated(values, json, io);
    }
    const live = openLive();
    if (seconds !== undefined) return await benchClocks(live, seconds, rounds, json, io);
    const calls = simulated || isUnavailable(live) ? SIMULATED_CALLS : CALLS;
    const effort: Effort = { rounds, warmUp: 2, calls };
    return simulated ? await benchOnSimulated(effort, json, io) : await benchHere(live, effort, json, io);
  },
});

/** How long the clocks are held to the kernel; undefined where nobody asked for it. */
function secondsOf(clocks: boolean, seconds: string | undefined, simulated: boolean): number | undefined {
  if (clocks && simulated)
    throw new UsageError('--clocks is for --machine live: a simulated VM has no kernel to be held to');
  if (!clocks && seconds !== undefined) throw new UsageError('--seconds is for --clocks, which is not given');
  return clocks ? parseWithin('--seconds', seconds ?? '3', 1, MOST_SECONDS) : undefined;
}

async function benchHere(live: LiveMachine | Unavailable, effort: Effort, json: boolean, { stdout, stderr }: Io) {
  const progress = progressOn(stderr);
  const showing = (what: string) => (done: number, of: number) => progress.show(`${what}: round ${done} of ${of}`);
  const clock = openClock();
  const standsIn = isUnavailable(live);
  const readers = standsIn
    ? await benchStandIn(effort, showing('readers'))
    : benchReaders(live, effort, showing('readers'));
  const javascript = benchJavaScript(clock, effort, showing('JavaScript'));
  progress.clear();
  const { rounds, calls } = effort;
  if (json) {
    const machine = standsIn ? 'simulated' : 'live';
    stdout.write(toJson({ machine, why: clock.reason, rounds, calls, readers, javascript }));
    return EXIT_OK;
  }
  if (standsIn) stdout.write(`no record to read here: ${live.unavailable}; in its place a simulated VM\n\n`);
  stdout.write(`${readersTable(stdout, readers, standsIn ? IN_TYPESCRIPT : undefined)}\n`);
  stdout.write(javascriptTable(stdout, javascript));
  stdout.write(`\nmedian of ${rounds} rounds of ${grouped(calls)} calls; clock: ${clock.source} (${clock.reason})\n`);
  return EXIT_OK;
}

async function benchStandIn(effort: Effort, onRound: (done: number, of: number) => void): Promise<ReaderCost[]> {
  await using machine = await SimulatedMachine.start({ vcpus: 1 });
  return await benchSimulated(machine, effort, onRound);
}
