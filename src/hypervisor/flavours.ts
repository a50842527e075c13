/**
 * The hypervisors that this one can be: every behaviour in which KVM of November 2014, of January 2015, of today, and ours
 * differ, one option each. What a flavour gets wrong is written at the option that does it.
 */
import { type FlavourName, POLICIES, type Policy } from './policy.ts';

/** One hypervisor: how it behaves wherever the flavours differ. */
export interface Flavour {
  readonly name: string;
  readonly policy: Policy;
  /** The unit that TSC rates are kept in. `khz` cuts the rest off: the clock is wrong by up to half a part per million. */
  readonly rate: 'khz' | 'hz';
  /** Which TSC write is taken for an attempt to make a vCPU's TSC match the others': see tsc.ts. */
  readonly tscMatch: '2015' | 'today';
  /**
   * How the hypervisor knows that all TSCs match: it `counts` the writes that did, so that one offset moved and moved back
   * is not noticed, nor a rate changed later; or it `compares` them.
   */
  readonly tscKnown: 'counts' | 'compares';
  /** A guest's own TSC write: handled as a host's; `untracked`: only that vCPU's offset moves and no record follows; or `tracked`. */
  readonly guestTscWrite: 'as-host' | 'untracked' | 'tracked';
  /** A TSC write while the master clock is on or could be: refreshes `always`; or where that changes, and else only as it begins a `new-generation`, or if the TSC has `moved`. */
  readonly refreshOnTscWrite: 'always' | 'new-generation' | 'moved';
  /** A change of a vCPU's TSC rate lets its TSC jump, or its TSC goes on from where it is. */
  readonly rateChange: 'tsc-jumps' | 'tsc-goes-on';
  /** vCPU 0 on the old MSR: no stable bit for the whole VM, as guests of 2006 break with it. */
  readonly oldMsrEndsStability: boolean;
  /** The host gives its TSC up: vCPUs hear of it at their next exit, whenever that is, and of its return never; or at once of both. */
  readonly clocksourceLoss: 'at-next-exit' | 'at-once';
  /** The host woke with its TSC behind: no VM of the host is ever stable again; not this VM; or it is, as before. */
  readonly backwardsTsc: 'no-vm' | 'not-this-vm' | 'recovers';
  /** The host goes to sleep: every vCPU's record will say that it was stopped. */
  readonly stoppedOnSuspend: boolean;
  /** KVMCLOCK_CTRL: the guest's memory shows the flag at the vCPU's next run, too late for a snapshot; or at once. */
  readonly ctrl: 'next-run' | 'at-once';
  /** GET_CLOCK and SET_CLOCK: without flags; extrapolating by the host's rate even where the guest's TSC is scaled; or by the guest's own line. */
  readonly clockIoctl: '2015' | 'host-rate' | 'guest-line';
  /** A record across two pages: kept; accepted and never written; or refused. One outside memory: the same but for 2015. */
  readonly straddlingRecord: 'written' | 'dropped' | 'refused';
  /** KVM_GET_CLOCK_GUEST and KVM_SET_CLOCK_GUEST, which Linux has not merged. */
  readonly clockGuest: boolean;
  /** Every 300 s all vCPUs are asked for new records. */
  readonly periodicUpdate: boolean;
}

const KVM: Flavour = {
  name: 'kvm',
  policy: POLICIES.kvm,
  rate: 'khz',
  tscMatch: 'today',
  tscKnown: 'counts',
  guestTscWrite: 'untracked',
  refreshOnTscWrite: 'new-generation',
  rateChange: 'tsc-jumps',
  oldMsrEndsStability: true,
  clocksourceLoss: 'at-next-exit',
  backwardsTsc: 'not-this-vm',
  stoppedOnSuspend: true,
  ctrl: 'next-run',
  clockIoctl: 'host-rate',
  straddlingRecord: 'dropped',
  clockGuest: false,
  periodicUpdate: false,
};

const KVM_2015: Flavour = {
  ...KVM,
  name: 'kvm-2015',
  policy: POLICIES['kvm-2015'],
  tscMatch: '2015',
  guestTscWrite: 'as-host',
  refreshOnTscWrite: 'always',
  backwardsTsc: 'no-vm',
  stoppedOnSuspend: false,
  clockIoctl: '2015',
  straddlingRecord: 'written',
  periodicUpdate: true,
};

/** The flavours by name. One of your own is a copy with other values: `{ ...FLAVOURS.kvm, name: 'mine', ctrl: 'at-once' }`. */
export const FLAVOURS: Readonly<Record<FlavourName, Flavour>> = {
  kvmclock: {
    name: 'kvmclock',
    policy: POLICIES.kvmclock,
    rate: 'hz',
    tscMatch: 'today',
    tscKnown: 'compares',
    guestTscWrite: 'tracked',
    refreshOnTscWrite: 'moved',
    rateChange: 'tsc-goes-on',
    oldMsrEndsStability: true,
    clocksourceLoss: 'at-once',
    backwardsTsc: 'recovers',
    stoppedOnSuspend: true,
    ctrl: 'at-once',
    clockIoctl: 'guest-line',
    straddlingRecord: 'refused',
    clockGuest: true,
    periodicUpdate: false,
  },
  kvm: KVM,
  'kvm-2015': KVM_2015,
  'kvm-2014': { ...KVM_2015, name: 'kvm-2014', policy: POLICIES['kvm-2014'], oldMsrEndsStability: false },
};
