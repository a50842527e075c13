/**
 * Each barrier dropped, each check moved, each retry skipped, one at a time, and which verdicts that flips. A mutation that
 * flips none is not caught by anything here: either the memory does what the step was for anyway, or no property misses it.
 */
import type { ReaderName } from '../guest/readers.ts';
import type { Freeze } from '../hypervisor/policy.ts';
import { REQUEST } from '../hypervisor/request-bits.ts';
import { check, type Verdict } from './check.ts';
import * as host from './host-mutants.ts';
import type { Mutants, Wrap } from './mutants.ts';
import * as reader from './reader-mutants.ts';
import { type Configuration, DEFAULT_CONFIGURATION, type Update } from './scenarios.ts';

export interface Mutation {
  readonly name: string;
  readonly of: 'reader' | 'hypervisor';
  readonly mutants: Mutants;
  /** How things stand where it is tried, with and without it. */
  readonly setting?: Mutants;
  /** Where it is tried. */
  readonly configurations: readonly Configuration[];
}

/** A verdict that the mutation changed. */
export interface Flip {
  readonly configuration: Configuration;
  /** Properties that are violated, and things that happen, with it only ... */
  readonly broken: readonly string[];
  /** ... and without it only. */
  readonly mended: readonly string[];
}

export interface MutationReport {
  readonly name: string;
  readonly of: Mutation['of'];
  readonly tried: number;
  /** Every search was complete, or had found a flip. */
  readonly complete: boolean;
  readonly flips: readonly Flip[];
}

/** A search that has found a flip goes no further than this: it would only find more of them. */
const ENOUGH_STATES = 500_000;

type Changes = Partial<Configuration>;

const HOSTS: readonly Freeze[] = ['kvm', 'record0', 'all'];
const UPDATES: readonly Update[] = ['unstable', 'ahead'];

function tried(readers: readonly ReaderName[], changes: Changes = {}): Configuration[] {
  return readers.flatMap((name) =>
    HOSTS.flatMap((policy) =>
      UPDATES.map((update) => ({ ...DEFAULT_CONFIGURATION, reader: name, host: policy, update, ...changes })),
    ),
  );
}

const ofReader = (name: string, guest: Wrap, readers: readonly ReaderName[], changes?: Changes): Mutation => {
  return { name, of: 'reader', mutants: { guest }, configurations: tried(readers, changes) };
};
const ofHost = (name: string, wrap: Wrap, changes?: Changes): Mutation => {
  return { name, of: 'hypervisor', mutants: { host: wrap }, configurations: tried(['landed', 'before'], changes) };
};

const ANY_ORDER: Changes = { early: 'any-order' };
/** Time must move for a TSC read at the wrong moment to show, and somebody else must look at the clock. */
const LATE: Changes = { early: 'late-tsc', ticks: 1, threads: 2, host: 'all', update: 'ahead' };
const TSO: Changes = { memory: 'tso' };
const NO_FREEZE: Changes = { host: 'none' };
/** Two updaters at once: one configuration, as it has many more states. */
const AT_ONCE: Changes = { updaters: 2, reader: 'landed', host: 'none', update: 'ahead' };

/** Somebody has asked every vCPU for its record before the update begins. */
const PENDING: Mutants = {
  first: (cells) =>
    cells.map((cell) => (cell.name.startsWith('requests') ? { ...cell, initial: REQUEST.CLOCK_UPDATE } : cell)),
};

export const MUTATIONS: readonly Mutation[] = [
  ofReader('no read barrier behind the first look at the version', reader.withoutReadBarrier(1), ['landed'], ANY_ORDER),
  ofReader(
    'no read barrier before the second look at the version',
    reader.withoutReadBarrier(2),
    ['landed'],
    ANY_ORDER,
  ),
  ofReader('no read barriers at all, on x86', reader.withoutReadBarriers, ['landed', 'before', 'cached']),
  ofReader('no read barrier between TSC and version', reader.withoutBarrierBehindTsc, ['cached'], ANY_ORDER),
  ofReader('no fence behind the TSC read', reader.withoutLoadFence, ['before'], { early: 'late-tsc', host: 'kvm' }),
  ofReader('the TSC read without its fence', reader.withPlainRdtsc, ['landed'], LATE),
  ofReader('no second look at the version', reader.withoutRetry, ['rfc', 'landed', 'before']),
  ofReader('an odd version accepted', reader.acceptingOdd, ['landed', 'before']),
  ofReader('no test of the stable bit', reader.withoutStableTest, ['landed', 'before']),
  ofReader('the stable bit tested before the loop', reader.withStableTestFirst, ['landed']),
  ofReader('the TSC read before the version', reader.withTscFirst, ['landed', 'before']),
  ofReader('the number of the vCPU asked once', reader.withOneVcpuNumber, ['before']),
  ofHost('no fence in the gate', host.withoutGateFence, { ...TSO, reader: 'before', host: 'record0' }),
  ofHost('no fence in the gate, where stores are not buffered', host.withoutGateFence),
  ofHost('no write barriers', host.withoutWriteBarriers, TSO),
  ofHost('no odd version', host.withoutOddVersion),
  ofHost('the even version before the body', host.withEvenVersionFirst),
  ofHost('the freeze does not wait', host.withoutFreezeWait),
  ofHost('no MCLOCK_INPROGRESS', host.withoutRequest(REQUEST.MCLOCK_INPROGRESS)),
  ofHost('no CLOCK_UPDATE', host.withoutRequest(REQUEST.CLOCK_UPDATE)),
  ofHost('the gate does not look again', host.withoutRecheck),
  ofHost('the freeze lifted before new records are asked for', host.thawingFirst),
  ofHost('no update lock', host.withoutLock('update'), AT_ONCE),
  {
    ...ofHost('CLOCK_UPDATE taken once the record is written', host.takingRequestLate, { host: 'kvm' }),
    setting: PENDING,
  },
  { ...ofHost('no record lock', host.withoutLock('record'), { reader: 'landed', host: 'record0' }), setting: PENDING },
  { ...ofHost("no odd sequence of the VM's copy", host.withoutOddSequence, NO_FREEZE), setting: PENDING },
  { ...ofHost("no second look at the sequence of the VM's copy", host.withoutCopyRetry, NO_FREEZE), setting: PENDING },
  {
    ...ofHost("no second look at the sequence of the VM's copy, where the update freezes", host.withoutCopyRetry, {
      reader: 'landed',
      host: 'kvm',
    }),
    setting: PENDING,
  },
];

/** What is found without a mutation, by configuration and setting: worth keeping from one mutation to the next. */
export type Baselines = Map<string, Baseline>;

interface Baseline {
  readonly complete: boolean;
  /** What was violated, and what happened. */
  readonly names: readonly string[];
}

/** Tries one mutation wherever it is to be tried. */
export function tryMutation(mutation: Mutation, baselines: Baselines = new Map()): MutationReport {
  const { name, of, mutants, setting = {}, configurations } = mutation;
  const unique = new Map(configurations.map((configuration) => [JSON.stringify(configuration), configuration]));
  const flips: Flip[] = [];
  let complete = true;
  for (const [key, configuration] of unique) {
    const settingKey = setting === PENDING ? `${key} pending` : key;
    const before = baselines.get(settingKey) ?? baselineOf(check(configuration, { mutants: setting }));
    baselines.set(settingKey, before);
    const verdict = check(configuration, {
      mutants: { ...setting, ...mutants },
      enough: (states, found) => states > ENOUGH_STATES && found.some((property) => !before.names.includes(property)),
    });
    const after = baselineOf(verdict);
    const broken = after.names.filter((property) => !before.names.includes(property));
    const mended = after.complete ? before.names.filter((property) => !after.names.includes(property)) : [];
    if (broken.length + mended.length > 0) flips.push({ configuration, broken, mended });
    complete &&= before.complete && (after.complete || broken.length > 0);
  }
  return { name, of, tried: unique.size, complete, flips };
}

function baselineOf({ complete, violated, witnessed }: Verdict): Baseline {
  return { complete, names: [...violated, ...witnessed].map(({ property }) => property) };
}
