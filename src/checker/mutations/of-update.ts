/** The steps of the run loop, its gate and the requests that it serves; of the freeze; and of the update and its locks. */
import { IN_GUEST_MODE, OUTSIDE_GUEST_MODE, REQUEST } from '../../hypervisor/request-bits.ts';
import { type Mutation, mutationsOf, type Step } from './mutation.ts';
import * as run from './update-mutants.ts';

type Steps = Readonly<Record<string, Step>>;

const GATE: Steps = {
  'no-fence': {
    says: 'no fence between mode and requests',
    host: run.withoutGateFence,
    by: ['before'],
    where: { memory: 'tso', host: 'record0' },
  },
  'no-fence-sc': {
    says: 'no fence between mode and requests, where stores are not buffered',
    host: run.withoutGateFence,
    because: 'there is no buffer for the mode to wait in',
  },
  'no-second-look': { says: 'no second look at the requests', host: run.withoutRecheck },
  'second-look-first': { says: 'the second look at the requests before the mode is set', host: run.withRecheckFirst },
  'no-mode': { says: 'the mode never set', host: run.withoutMode(IN_GUEST_MODE) },
  'no-mode-back': { says: 'the mode never set back', host: run.withoutMode(OUTSIDE_GUEST_MODE) },
};

const REQUESTS: Steps = {
  'clock-update-late': {
    says: 'CLOCK_UPDATE cleared when the record is written',
    host: run.takingClockUpdateLate,
    by: ['before'],
    where: { host: 'kvm' },
    setting: 'pending',
  },
  'no-record': { says: 'no record written', host: run.withoutRecord },
  'master-update-late': {
    says: 'MASTERCLOCK_UPDATE cleared when the update is done',
    host: run.takingMasterUpdateLate,
    where: { host: 'kvm', update: 'unstable' },
    because: 'only one thread asks for it here, so no second request is lost',
  },
  'no-second-look': {
    says: 'the requests not looked at again once the update is done',
    host: run.withoutSecondRequests,
    where: { update: 'unstable' },
    because: 'the gate finds the request for a record, and the vCPU goes round once more',
  },
  'no-sleep': {
    says: 'a vCPU that is held out does not sleep',
    host: run.withoutSleep,
    because: 'the gate keeps it out all the same; to sleep only saves it from going round',
  },
};

const FREEZE: Steps = {
  'no-request': { says: 'no MCLOCK_INPROGRESS', host: run.withoutRequest(REQUEST.MCLOCK_INPROGRESS) },
  'no-wait': { says: 'the freeze does not wait', host: run.withoutFreezeWait },
  'no-kick': {
    says: 'no kick',
    host: run.withoutKick,
    because: 'a vCPU may leave the guest at any time here, kicked or not',
  },
  'behind-copy': {
    says: 'the freeze behind the copy',
    host: run.withFreezeBehindCopy,
    by: ['landed'],
    where: { host: 'record0' },
    setting: 'pending',
  },
  'never-lifted': { says: 'the freeze never lifted', host: run.withoutTaking(REQUEST.MCLOCK_INPROGRESS) },
  'lifted-before-requests': { says: 'the freeze lifted before new records are asked for', host: run.thawingFirst },
  'lifted-before-record-0': {
    says: 'the freeze lifted before record 0 is written',
    host: run.withThawBehindCopy,
    where: { host: 'record0' },
  },
  'no-wake': {
    says: 'who sleeps is not woken',
    host: run.withoutWake,
    because: 'a sleeper looks at its word whenever that changes here',
  },
};

const UPDATE: Steps = {
  'no-clock-update': { says: 'no CLOCK_UPDATE', host: run.withoutRequest(REQUEST.CLOCK_UPDATE) },
  'no-lock': {
    says: 'no update lock',
    host: run.withoutLock('update'),
    by: ['landed'],
    where: { vcpus: 1, updaters: 2, host: 'none', update: 'set-clock' },
  },
  'no-record-lock': {
    says: 'no record lock',
    host: run.withoutLock('record'),
    by: ['landed'],
    where: { host: 'record0' },
    setting: 'pending',
  },
  'plain-release': {
    says: 'locks given back by a plain store',
    host: run.withPlainRelease,
    by: ['landed'],
    where: { memory: 'tso', host: 'record0' },
    because: 'what was stored under the lock reaches memory before it',
  },
};

const BY = ['landed', 'before'] as const;

export const OF_UPDATE: readonly Mutation[] = [
  ...mutationsOf('gate', BY, GATE),
  ...mutationsOf('requests', BY, REQUESTS),
  ...mutationsOf('freeze', BY, FREEZE),
  ...mutationsOf('update', BY, UPDATE),
];
