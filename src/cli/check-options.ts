/** The dimensions of the checker as options, and back to a configuration. */

import { MUTATIONS } from '../checker/mutations/mutations.ts';
import { REDUCTION_NAMES, type ReductionName } from '../checker/reductions.ts';
import { type Configuration, HOSTS, KERNELS, MEMORIES, UPDATES, WRITERS } from '../checker/scenarios.ts';
import { EARLY } from '../checker/windows.ts';
import { READERS, type ReaderName } from '../guest/readers.ts';
import { readerFor } from './check-mutations.ts';
import { type Options, UsageError } from './command.ts';
import { parseArgument, parseName, parseWithin } from './values.ts';

export const DIMENSIONS = {
  host: {
    type: 'string',
    value: 'NAME',
    values: HOSTS,
    default: 'kvm',
    help: `who is held out while the clock is updated: ${HOSTS.join(', ')} (kvm)`,
  },
  writer: {
    type: 'string',
    value: 'NAME',
    values: WRITERS,
    default: 'today',
    help: `how a record is written: ${WRITERS.join(', ')} (today)`,
  },
  update: {
    type: 'string',
    value: 'NAME',
    values: UPDATES,
    default: 'unstable',
    help: `what happens: ${UPDATES.join(', ')} (unstable)`,
  },
  memory: {
    type: 'string',
    value: 'NAME',
    values: MEMORIES,
    default: 'sc',
    help: `the memory: ${MEMORIES.join(', ')} (sc)`,
  },
  vcpus: { type: 'string', value: 'N', default: '2', help: 'vCPUs of the VM (2)' },
  threads: { type: 'string', value: 'N', default: '1', help: 'guest threads that read the clock (1)' },
  calls: { type: 'string', value: 'N', default: '1', help: 'calls of each, one after the other (1)' },
  updaters: { type: 'string', value: 'N', default: '1', help: 'threads that update at once (1)' },
  updates: { type: 'string', value: 'N', default: '1', help: 'updates of each, one after the other (1)' },
  ticks: {
    type: 'string',
    value: 'N',
    default: '0',
    help: 'how often the TSC may move on (0: lines differ, time stands)',
  },
  kernel: {
    type: 'string',
    value: 'NAME',
    values: KERNELS,
    default: 'none',
    help: `the guest kernel's own reads: ${KERNELS.join(', ')} (none)`,
  },
  early: { type: 'string', value: 'NAME', values: EARLY, help: `loads done early: ${EARLY.join(', ')} (not at all)` },
  mutation: {
    type: 'string',
    value: 'NAME',
    values: MUTATIONS.map(({ name }) => name),
    help: 'with this step left out or moved; --mutations names them',
  },
} as const satisfies Options;

type Values = { readonly [Name in Exclude<keyof typeof DIMENSIONS, 'early' | 'mutation'>]: string } & {
  readonly early?: string | undefined;
  readonly mutation?: string | undefined;
};

/** Throws UsageError where a value is none of its dimension's. */
export function configurationOf(reader: string | undefined, values: Values): Configuration {
  const { early, mutation } = values;
  return {
    reader: parseArgument('reader', readerFor(mutation, reader), Object.keys(READERS) as ReaderName[]),
    host: parseName('--host', values.host, HOSTS),
    writer: parseName('--writer', values.writer, WRITERS),
    update: parseName('--update', values.update, UPDATES),
    memory: parseName('--memory', values.memory, MEMORIES),
    vcpus: parseWithin('--vcpus', values.vcpus, values.update === 'unstable' ? 2 : 1, 8),
    threads: parseWithin('--threads', values.threads, 1, 9),
    calls: parseWithin('--calls', values.calls, 1, 9),
    updaters: parseWithin('--updaters', values.updaters, values.update === 'unstable' ? 1 : 0, 8),
    updates: parseWithin('--updates', values.updates, 1, 8),
    ticks: parseWithin('--ticks', values.ticks, 0, 9),
    kernel: parseName('--kernel', values.kernel, KERNELS),
    ...(early === undefined ? {} : { early: parseName('--early', early, EARLY) }),
    ...(mutation === undefined ? {} : { mutation }),
  };
}

/** Reductions to do without: names with a comma between, or `all`. */
export function unreducedOf(text: string | undefined): readonly ReductionName[] {
  if (text === undefined) return [];
  return text === 'all'
    ? REDUCTION_NAMES
    : text.split(',').map((name) => parseName('--unreduced', name, REDUCTION_NAMES));
}

/** What counts beside these options; any other would change nothing. */
const COUNTS: Readonly<Record<'mutations' | 'all' | 'export', readonly string[]>> = {
  mutations: [],
  all: ['memory', 'unreduced', 'max-states', 'max-memory'],
  export: [...Object.keys(DIMENSIONS), 'out', 'max-states', 'max-memory'],
};

/** Throws UsageError where an option was given that would change nothing, so that nobody takes it for heeded. */
export function refuseIdle(values: object, options: Options): void {
  const given = Object.entries(values).flatMap(([name, value]) => (value === options[name]?.default ? [] : [name]));
  if (given.includes('witness') && given.includes('property'))
    throw new UsageError('--witness and --property name two traces; give one of them');
  const mode = (['mutations', 'all', 'export'] as const).find((name) => given.includes(name));
  const idle = mode && given.find((name) => name !== mode && !COUNTS[mode].includes(name));
  if (idle !== undefined) throw new UsageError(`--${idle} changes nothing with --${mode}; leave it out`);
}
