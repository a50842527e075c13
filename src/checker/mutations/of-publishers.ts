/** The steps of those who write a record, and of the VM-wide copy that it is made from. */
import { isVersion } from '../reader-mutants.ts';
import { type Mutation, mutationsOf, type Step } from './mutation.ts';
import * as count from './publish-mutants.ts';

type Steps = Readonly<Record<string, Step>>;

const RECORD: Steps = {
  'no-odd-version': { says: 'no odd version', host: count.withoutOdd(isVersion) },
  'even-version-first': { says: 'the even version before the body', host: count.withEvenFirst(isVersion) },
  'no-even-version': { says: 'the version left odd', host: count.withoutEven(isVersion) },
  'no-mending': {
    says: 'a version found odd counted on from as it is',
    host: count.withoutMending,
    setting: 'found-odd',
  },
  'no-write-barriers': {
    says: 'no write barriers',
    host: count.withoutWriteBarriers,
    where: { memory: 'tso' },
    because: 'x86 lets stores be seen in the order of the program: there they only hold the compiler',
  },
  'no-stopped': {
    says: 'a GUEST_STOPPED not yet taken is lost',
    host: count.withoutStopped,
    because: 'no vCPU is stopped here, and no property asks for the flag',
  },
  'xen-no-odd-version': {
    says: "Xen's writer: no odd version",
    host: count.withoutOdd(isVersion),
    where: { writer: 'xen' },
  },
  'xen-even-version-first': {
    says: "Xen's writer: the even version before the body",
    host: count.withEvenFirst(isVersion),
    where: { writer: 'xen' },
  },
  'xen-no-comparison': {
    says: "Xen's writer: what stands there already is published again",
    host: count.withoutComparing,
    where: { writer: 'xen' },
    because: 'it is the same record once more: readers go round, and find what they had',
  },
  '2015-version-last': {
    says: "January 2015's writer: the version behind the body",
    host: count.withVersionLast,
    where: { writer: '2015' },
  },
  '2014-version-last': {
    says: "November 2014's writer: the version behind the body",
    host: count.withVersionLast,
    where: { writer: '2014' },
  },
};

/** The copy is read while it is written: the update holds nobody out, and vCPUs had been asked for their records before. */
const BESIDE = { where: { host: 'none' }, setting: 'pending' } as const;

const COPY: Steps = {
  'no-odd-sequence': { says: 'no odd sequence', host: count.withoutOdd(count.isSequence), ...BESIDE },
  'even-sequence-first': {
    says: 'the even sequence before the copy',
    host: count.withEvenFirst(count.isSequence),
    ...BESIDE,
  },
  'odd-accepted': { says: 'an odd sequence accepted', host: count.acceptingOddSequence, ...BESIDE },
  'no-second-look': { says: 'no second look at the sequence', host: count.withoutCopyRetry, ...BESIDE },
  'second-look-first': {
    says: 'the second look at the sequence before the copy is read',
    host: count.withSecondCopyLookFirst,
    ...BESIDE,
  },
  'no-second-look-frozen': {
    says: 'no second look at the sequence, where the update holds everybody out',
    host: count.withoutCopyRetry,
    by: ['landed'],
    where: { host: 'kvm', update: 'unstable' },
    setting: 'pending',
  },
  'offset-last': {
    says: 'the offset read behind the second look at the sequence',
    policy: { offset: 'after' },
    by: ['landed'],
    where: { host: 'record0', update: 'ahead' },
    setting: 'pending',
    because: 'who has paired an old copy with the new offset is asked for its record again before it enters',
  },
};

export const OF_PUBLISHERS: readonly Mutation[] = [
  ...mutationsOf('publish', ['landed', 'before'], RECORD),
  ...mutationsOf('copy', ['landed', 'before'], COPY),
];
