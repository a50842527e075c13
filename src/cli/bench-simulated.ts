/** What `kvmclock bench --machine simulated` runs: the costs in TypeScript, or with --stress the stress. */

import { READERS, type ReaderName } from '../guest/readers.ts';
import { FLAVOURS } from '../hypervisor/flavours.ts';
import type { Base, FlavourName, Freeze, Writer } from '../hypervisor/policy.ts';
import { CLOCK_GETTIME } from '../machine/simulated/readers.ts';
import { SimulatedMachine } from '../machine/simulated/simulated.ts';
import { leastVcpus, UPDATES } from '../machine/simulated/updates.ts';
import type { Effort } from '../report/bench.ts';
import { benchSimulated } from '../report/bench-simulated.ts';
import { IN_TYPESCRIPT, readersTable } from '../report/costs-text.ts';
import { toJson } from '../report/json.ts';
import { GUEST_RATES, migrate, WAYS } from '../report/migration.ts';
import { migrationText } from '../report/migration-text.ts';
import { publishCost } from '../report/publish-cost.ts';
import { publishCostText } from '../report/publish-cost-text.ts';
import { COMPARED, type RefreshJumps, randomHistory, replayRefreshes } from '../report/refresh.ts';
import { refreshTable } from '../report/refresh-text.ts';
import { isWhole, type StressOptions, stress } from '../report/stress.ts';
import { stressText } from '../report/stress-text.ts';
import { progressOn } from '../report/text.ts';
import { EXIT_OK, type Io, type Options, UsageError } from './command.ts';
import { parseName, parseWithin } from './values.ts';

const EXIT_CAUGHT = 1;
const FREEZES: readonly Freeze[] = ['none', 'kvm', 'record0', 'all'];
const WRITERS: readonly Writer[] = ['2014', '2015', 'today', 'xen'];
const BASES: readonly Base[] = ['kvm', 'continuous'];
const FLAVOUR_NAMES = Object.keys(FLAVOURS) as FlavourName[];
const READER_NAMES = [...(Object.keys(READERS) as ReaderName[]), CLOCK_GETTIME] as const;
const DEFAULT_READERS: readonly ReaderName[] = ['landed', 'cached', 'before'];
const MOST_VCPUS = 64;
const MOST_SECONDS = 86_400;

const WHY = 'a simulated VM: its vCPUs are threads of this process, their TSC is counted from process.hrtime';

export const STRESS_OPTIONS = {
  stress: { type: 'string', value: 'SECONDS', help: 'read on every vCPU while the host updates, instead of timing' },
  flavour: {
    type: 'string',
    value: 'NAME',
    values: FLAVOUR_NAMES,
    help: `the hypervisor: ${FLAVOUR_NAMES.join(', ')} (kvmclock by default)`,
  },
  host: {
    type: 'string',
    value: 'WHEN',
    values: FREEZES,
    help: `when vCPUs held out may go back: ${FREEZES.join(', ')}`,
  },
  writer: { type: 'string', value: 'NAME', values: WRITERS, help: `how a record is written: ${WRITERS.join(', ')}` },
  base: { type: 'string', value: 'NAME', values: BASES, help: `where a refreshed line begins: ${BASES.join(', ')}` },
  update: { type: 'string', value: 'KIND', values: UPDATES, help: `${UPDATES.join(', ')} (refresh by default)` },
  reader: {
    type: 'string',
    value: 'NAME',
    values: READER_NAMES,
    multiple: true,
    help: `${READER_NAMES.join(', ')}; once or more`,
  },
  vcpus: { type: 'string', value: 'N', help: 'vCPUs that read (2 by default)' },
} as const satisfies Options;

/** The values of STRESS_OPTIONS as they were given. */
export type StressValues = {
  readonly [name in keyof typeof STRESS_OPTIONS]?: name extends 'reader' ? string[] : string;
};

/** Refreshes in the simulated day, as many for each flavour. */
const REFRESHES = 1000;
/** As many for each way to move a clock. */
const MIGRATIONS = 1000;
const SEED = 1;
const PUBLISH_CALLS = 20_000;

export async function benchOnSimulated(effort: Effort, json: boolean, { stdout, stderr }: Io): Promise<number> {
  const progress = progressOn(stderr);
  const showing = (what: string) => (done: number, of: number) => progress.show(`${what}: round ${done} of ${of}`);
  await using machine = await SimulatedMachine.start();
  const readers = await benchSimulated(machine, effort, showing('readers'));
  const publish = publishCost(effort.rounds, PUBLISH_CALLS, showing('publishing'));
  progress.show('a day of refreshes ...');
  const refresh = (['one', 'changing'] as const).map((rates) => ({ rates, seed: SEED, flavours: aDay(rates) }));
  progress.show('migrations ...');
  const migrations = WAYS.flatMap((way) => GUEST_RATES.map((rate) => migrate(way, MIGRATIONS, rate, SEED)));
  progress.clear();
  const measured = { readers, javascript: [], publish, refresh, migrations };
  const { rounds, calls } = effort;
  if (json) {
    stdout.write(toJson({ machine: 'simulated', why: WHY, rounds, calls, ...measured }));
    return EXIT_OK;
  }
  const days = refresh.map(({ rates, flavours }) => `${DAYS[rates]}\n${refreshTable(flavours, stdout)}`);
  const parts = [`${WHY}\n`, readersTable(stdout, readers, IN_TYPESCRIPT), publishCostText(publish, stdout), ...days];
  parts.push(migrationText(migrations, stdout));
  stdout.write(`${parts.join('\n')}\nmedian of ${rounds} rounds\n`);
  return EXIT_OK;
}

const DAYS = {
  one: 'refreshes at random over a simulated day, the TSC at one random rate',
  changing: 'the same, at another random rate after each (0.5 to 5 GHz)',
};

function aDay(rates: 'one' | 'changing'): RefreshJumps[] {
  const history = randomHistory(SEED, REFRESHES, rates);
  return COMPARED.map((flavour) => replayRefreshes(history, flavour));
}

/** `values.stress` must be given. */
export async function stressSimulated(values: StressValues, json: boolean, { stdout, stderr }: Io): Promise<number> {
  const options = stressOptionsOf(values);
  const progress = progressOn(stderr);
  progress.show(`${options.vcpus} vCPUs under stress for ${options.seconds} s ...`);
  const report = await stress(options);
  progress.clear();
  stdout.write(json ? toJson({ machine: 'simulated', why: WHY, ...report }) : stressText(report, stdout));
  return isWhole(report) ? EXIT_OK : EXIT_CAUGHT;
}

function stressOptionsOf(values: StressValues): StressOptions {
  const named = <const N extends string>(option: keyof StressValues, names: readonly N[]): N | undefined => {
    const text = values[option];
    return typeof text === 'string' ? parseName(`--${option}`, text, names) : undefined;
  };
  const update = named('update', UPDATES) ?? 'refresh';
  const vcpus = parseWithin('--vcpus', values.vcpus ?? '2', 1, MOST_VCPUS);
  if (vcpus < leastVcpus(update)) {
    throw new UsageError(`--update ${update} takes --vcpus ${leastVcpus(update)} or more: a single TSC matches itself`);
  }
  return {
    flavour: named('flavour', FLAVOUR_NAMES) ?? 'kvmclock',
    host: named('host', FREEZES),
    writer: named('writer', WRITERS),
    base: named('base', BASES),
    update,
    vcpus,
    readers: values.reader?.map((name) => parseName('--reader', name, READER_NAMES)) ?? DEFAULT_READERS,
    seconds: parseWithin('--stress', values.stress ?? '', 1, MOST_SECONDS),
  };
}

/** Refuses the options of the stress where they would change nothing. */
export function checkStressOptions(values: StressValues, simulated: boolean): void {
  const given = (Object.keys(STRESS_OPTIONS) as (keyof StressValues)[]).find((name) => values[name] !== undefined);
  if (given === undefined) return;
  if (!simulated) throw new UsageError(`--${given} is for --machine simulated; on real vCPUs it is kvmclock vm stress`);
  if (values.stress === undefined) throw new UsageError(`--${given} is for --stress SECONDS, which is not given`);
}
