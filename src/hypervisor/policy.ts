/** What hypervisors do differently, as plain named options, so that each difference can be tried on its own. */

/**
 * When the vCPUs that an update holds out of the guest may go back:
 * - `none`: nobody is held out.
 * - `kvm`: once the VM-wide copy is written, before any record is. A vCPU that has written its own record may run guest code
 *   while record 0 is still the old one: the race of January 2015.
 * - `record0`: once record 0 is written too, by the updater.
 * - `all`: once every active record is written, by the updater.
 */
export type Freeze = 'none' | 'kvm' | 'record0' | 'all';

/** How a record is written: see publish.ts. */
export type Writer = '2014' | '2015' | 'today' | 'xen';

/**
 * Where a refreshed line begins: `kvm`, at a fresh sample of the host's clock, so that time jumps by what the arithmetic
 * and the rate's rounding have lost since the last one; or `continuous`, where the old line stands at the moment of take-over,
 * so that it neither jumps nor steps back, and goes on at the TSC's rate whatever the host's clock does.
 */
export type Base = 'kvm' | 'continuous';

/** How an update of the clock is made, and a record written. */
export interface Policy {
  readonly freeze: Freeze;
  readonly writer: Writer;
  readonly base: Base;
  /**
   * What the update lock covers: `copy`, the VM-wide copy alone (KVM since 2021: of two updates at once the first to end lets
   * vCPUs in while the second still holds them out), or `whole`, from the freeze to its end.
   */
  readonly lock: 'copy' | 'whole';
  /** Where a record's writer reads the clock's offset: `after` the sequence of the copy (KVM: it may pair with another copy), or `within`. */
  readonly offset: 'after' | 'within';
  /** When all vCPUs are asked for the same update: each does it (`repeat`, KVM), or the first does it for all (`once`, which needs the whole lock). */
  readonly update: 'repeat' | 'once';
  /** A request for new records on all vCPUs is served `at-once` (KVM since 6.19), or `delayed` by 100 ms for all but the asker. */
  readonly global: 'delayed' | 'at-once';
  /** TSC catch-up takes a time before the TSC was written for one far ahead (`unsigned`, KVM), or waits (`forward`). */
  readonly catchUp: 'unsigned' | 'forward';
}

/** What the shared functions know of a VM beyond its words. */
export interface VmSetup {
  /** Slots: vCPU numbers are 0..vcpus-1, created or not. */
  readonly vcpus: number;
  readonly policy: Policy;
  /** The processor scales the guest's TSC: `tscRatio` counts. */
  readonly tscScaling: boolean;
  /** The VM also keeps a Hyper-V reference TSC page: `hypervPage` counts. */
  readonly hypervPage?: boolean;
}

const KVM: Policy = {
  freeze: 'kvm',
  writer: 'today',
  base: 'kvm',
  lock: 'copy',
  offset: 'after',
  update: 'repeat',
  global: 'at-once',
  catchUp: 'unsigned',
};
const KVM_2015: Policy = { ...KVM, writer: '2015', lock: 'whole', global: 'delayed' };

/** Ours; KVM as it is today, as of January 2015, and as of November 2014. */
export type FlavourName = 'kvmclock' | 'kvm' | 'kvm-2015' | 'kvm-2014';

/** The policies of the flavours. */
export const POLICIES: Readonly<Record<FlavourName, Policy>> = {
  kvmclock: {
    freeze: 'record0',
    writer: 'today',
    base: 'continuous',
    lock: 'whole',
    offset: 'within',
    update: 'once',
    global: 'at-once',
    catchUp: 'forward',
  },
  kvm: KVM,
  'kvm-2015': KVM_2015,
  'kvm-2014': { ...KVM_2015, writer: '2014' },
};
