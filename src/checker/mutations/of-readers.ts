/** The readers' steps: each barrier, each look, each test. */
import { before } from '../../guest/before.ts';
import type { Reader } from '../../guest/cpu.ts';
import { freebsd } from '../../guest/freebsd.ts';
import { landed } from '../../guest/landed.ts';
import type { ReaderName } from '../../guest/readers.ts';
import { relaxed } from '../../guest/relaxed.ts';
import { rfc } from '../../guest/rfc.ts';
import * as mutant from '../reader-mutants.ts';
import * as line from './cached-mutants.ts';
import { type Mutation, mutationsOf, type Step } from './mutation.ts';
import * as own from './own-mutants.ts';

/** Loads in any order: what read barriers are for. */
const ANY_ORDER = { early: 'any-order', update: 'set-clock' } as const;
/** A TSC read at the wrong moment shows where time moves and somebody else looks at the clock. */
const LATE = { early: 'late-tsc', ticks: 1, threads: 2, host: 'none', update: 'set-clock', updaters: 0 } as const;

type Steps = Readonly<Record<string, Step>>;

const SEQUENCE = {
  'no-first-barrier': {
    says: 'no read barrier behind the first look at the version',
    guest: mutant.withoutReadBarrier('version'),
    where: ANY_ORDER,
  },
  'no-second-barrier': {
    says: 'no read barrier before the second look at the version',
    guest: mutant.withoutReadBarrier('body'),
    where: ANY_ORDER,
  },
  'odd-accepted': { says: 'an odd version accepted', guest: mutant.acceptingOdd },
  'no-second-look': { says: 'no second look at the version', guest: mutant.withoutRetry },
  'second-look-first': {
    says: 'the second look at the version before the body is read',
    guest: mutant.withSecondLookFirst,
  },
} satisfies Steps;

const WITHOUT_TEST: Steps = {
  'no-stable-test': { says: 'no test of the stable bit', guest: mutant.withoutStableTest },
};
const PLAIN_TSC: Steps = {
  'plain-tsc': { says: 'the TSC read without its fence', guest: mutant.withPlainRdtsc, where: LATE },
};
const TSC_FIRST: Steps = {
  'tsc-first': { says: 'the TSC read before the version', guest: mutant.withTscFirst },
};

const movedTest = (reader: Reader): Steps => ({
  'stable-test-first': { says: 'the stable bit tested before the loop', guest: mutant.withStableTestFirst },
  'stable-test-last': { says: 'the stable bit tested behind the loop', reader: mutant.withStableTestLast(reader) },
});
const tscLast = (reader: Reader): Steps => ({
  'tsc-last': { says: 'the TSC read behind the second look at the version', reader: mutant.withTscLast(reader) },
});

const BEFORE: Steps = {
  ...SEQUENCE,
  'odd-accepted': {
    ...SEQUENCE['odd-accepted'],
    because:
      'who finds it odd is on another vCPU; once the numbers agree again, the record is whole and has another version',
  },
  ...WITHOUT_TEST,
  'stable-test-first': { says: 'the stable bit tested before the loop', reader: own.beforeWithStableTestFirst },
  ...TSC_FIRST,
  ...tscLast(before),
  ...PLAIN_TSC,
  'no-load-fence': {
    says: 'no fence behind the TSC read',
    guest: own.withoutLoadFence,
    where: { early: 'late-tsc', host: 'record0' },
    because: "a vCPU's record is written only while it is out of the guest, and an exit throws early loads away",
  },
  'one-number': { says: 'the number of the vCPU asked once', guest: own.withOneVcpuNumber },
  'second-number-first': {
    says: 'the number of the vCPU asked again before the TSC is read',
    guest: own.withSecondNumberFirst,
  },
};

const RFC: Steps = {
  ...SEQUENCE,
  ...WITHOUT_TEST,
  'stable-test-inside': { says: 'the stable bit tested inside the loop', reader: landed },
  'stable-test-last': { says: 'the stable bit tested behind the loop', reader: mutant.withStableTestLast(rfc) },
  ...TSC_FIRST,
  ...tscLast(rfc),
  ...PLAIN_TSC,
};

const LANDED: Steps = {
  ...SEQUENCE,
  'no-read-barriers': {
    says: 'no read barriers, on x86',
    guest: mutant.withoutReadBarriers,
    where: { memory: 'tso' },
    because: 'x86 does loads in the order of the program: there they only hold the compiler',
  },
  ...WITHOUT_TEST,
  ...movedTest(landed),
  ...TSC_FIRST,
  ...tscLast(landed),
  ...PLAIN_TSC,
};

const NEXT_ROUND = 'the next round looks at the version once more, and a torn line has an older one';

const CACHED: Steps = {
  ...SEQUENCE,
  'no-second-barrier': { ...SEQUENCE['no-second-barrier'], because: NEXT_ROUND },
  'no-second-look': { ...SEQUENCE['no-second-look'], because: NEXT_ROUND },
  'second-look-first': { ...SEQUENCE['second-look-first'], because: NEXT_ROUND },
  'no-barrier-behind-tsc': {
    says: 'no read barrier between TSC and version',
    guest: mutant.withoutReadBarrier('tsc'),
    where: ANY_ORDER,
  },
  ...WITHOUT_TEST,
  'version-first': { says: 'the version looked at before the TSC is read', guest: line.withVersionBeforeTsc },
  'no-version-check': {
    says: 'a line that is there used whatever the version',
    guest: line.withoutVersionCheck,
    where: { calls: 2 },
  },
  'no-odd-test': {
    says: 'an odd version held against the line',
    guest: line.withoutOddTest,
    setting: 'never-written',
  },
  'no-second-round': { says: 'a new line used with the TSC of before', guest: line.withoutSecondRound },
  ...PLAIN_TSC,
};

const RELAXED: Steps = {
  ...SEQUENCE,
  ...WITHOUT_TEST,
  ...movedTest(relaxed),
  ...TSC_FIRST,
  ...tscLast(relaxed),
};

const FREEBSD: Steps = {
  ...SEQUENCE,
  ...WITHOUT_TEST,
  ...movedTest(freebsd),
  ...TSC_FIRST,
  ...PLAIN_TSC,
  'no-number-check': { says: 'the numbers of two RDTSCPs not compared', guest: own.withoutNumberCheck },
  'first-tsc': {
    says: "the TSC of the first RDTSCP used, not the second's",
    guest: own.withFirstTsc,
    where: { update: 'unstable', ticks: 1 },
  },
};

const STEPS: Readonly<Record<ReaderName, Steps>> = {
  before: BEFORE,
  rfc: RFC,
  landed: LANDED,
  cached: CACHED,
  relaxed: RELAXED,
  freebsd: FREEBSD,
};

export const OF_READERS: readonly Mutation[] = (Object.keys(STEPS) as ReaderName[]).flatMap((reader) =>
  mutationsOf(reader, [reader], STEPS[reader]),
);
