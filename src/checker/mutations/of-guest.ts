/** The steps of the guest kernel's own read with its clamp, and of both sides of the wall clock. */
import { acceptingOdd, isVersion, withoutReadBarrier, withoutRetry, withSecondLookFirst } from '../reader-mutants.ts';
import { type Mutation, mutationsOf, type Step } from './mutation.ts';
import * as own from './own-mutants.ts';
import { withEvenFirst, withoutEven, withoutOdd } from './publish-mutants.ts';
import { withoutLock } from './update-mutants.ts';

type Steps = Readonly<Record<string, Step>>;

/** The kernel reads where the reader finds no stable record. */
const FALLBACK = { update: 'unstable', kernel: 'fallback' } as const;
/** It finds none from the beginning on, and the clamp is all that keeps the vCPUs' lines together. */
const CLAMPED = { update: 'set-clock', updaters: 0, host: 'none', kernel: 'fallback', calls: 2 } as const;
const OUT = 'its record is written only while its vCPU is out of the guest, and the kernel stays on that';

const KERNEL: Steps = {
  'odd-accepted': { says: 'an odd version accepted', kernel: acceptingOdd, where: FALLBACK, because: OUT },
  'no-second-look': { says: 'no second look at the version', kernel: withoutRetry, where: FALLBACK, because: OUT },
  'no-clamp': {
    says: 'the clamp to the latest time left out',
    kernel: own.withoutClamp,
    where: CLAMPED,
    setting: 'apart',
  },
  'no-clamp-test': { says: 'the latest time set back', kernel: own.withoutClampTest, where: CLAMPED, setting: 'apart' },
  'no-exchange-retry': {
    says: 'a failed exchange of the latest time taken for done',
    kernel: own.withoutExchangeRetry,
    where: { ...CLAMPED, threads: 2 },
    setting: 'apart',
  },
};

const WRITTEN = { update: 'wall-clock', host: 'none' } as const;
const ANY_ORDER = { ...WRITTEN, early: 'any-order' } as const;

const WALL: Steps = {
  'no-first-barrier': {
    says: 'no read barrier behind the first look at the version',
    guest: withoutReadBarrier('version'),
    where: ANY_ORDER,
  },
  'no-second-barrier': {
    says: 'no read barrier before the second look at the version',
    guest: withoutReadBarrier('body'),
    where: ANY_ORDER,
  },
  'odd-accepted': { says: 'an odd version accepted', guest: acceptingOdd, where: WRITTEN },
  'no-second-look': { says: 'no second look at the version', guest: withoutRetry, where: WRITTEN },
  'second-look-first': {
    says: 'the second look at the version before the body is read',
    guest: withSecondLookFirst,
    where: WRITTEN,
  },
  'no-odd-version': { says: 'no odd version', host: withoutOdd(isVersion), where: WRITTEN },
  'even-version-first': { says: 'the even version before the body', host: withEvenFirst(isVersion), where: WRITTEN },
  'no-even-version': { says: 'the version left odd', host: withoutEven(isVersion), where: WRITTEN },
  'no-lock': { says: 'two writers at once', host: withoutLock('update'), where: { ...WRITTEN, updaters: 2 } },
};

export const OF_GUEST: readonly Mutation[] = [
  ...mutationsOf('kernel', ['landed'], KERNEL),
  ...mutationsOf('wall', ['landed'], WALL),
];
