/**
 * Where the hypervisor's own words stand: one table for the VM, one for each vCPU behind it. They lie in HostCpu's second
 * address space, so that every thread of the hypervisor, and the checker, reaches them in the same way.
 *
 *   HYPERVISOR_WORDS  +-- VM_WORDS ----------+
 *                     |  lock, VM-wide copy  |
 *   + VM_BYTES        +-- VCPU_WORDS of 0 ---+
 *   + VCPU_BYTES each |  requests, mode, ... |
 *
 * Every offset is a multiple of its word's size.
 */
import { HYPERVISOR_WORDS } from './cpu.ts';

/** Offsets of the VM's words. u32 unless said otherwise. */
export const VM_WORDS = {
  /** 1 while somebody updates the VM-wide copy, or writes a TSC. */
  lock: 0,
  /** Sequence count of the four words of the copy: odd while they are written. */
  sequence: 4,
  /** The VM-wide copy: 1 while all records lie on one line. */
  useMasterClock: 8,
  /** u64, ns: the host's clock ... */
  masterKernelNs: 16,
  /** u64, cycles: ... at this host TSC. */
  masterCycleNow: 24,
  /** u64, ns, mod 2^64: what to add to the host's clock for the VM's. */
  kvmclockOffset: 32,
  /** u64, ns: when every vCPU is to be asked for a new record; 0 = not due. */
  globalUpdateDueNs: 40,
  /** u64: `timeScale` and `tscRatio` of the records made from the copy, for one who asks the VM's clock itself. */
  lineScale: 48,
  lineRatio: 56,

  /** vCPUs that exist. */
  onlineVcpus: 64,
  /** vCPUs that joined the current generation of matching TSCs, beside the one that began it. */
  matchedVcpus: 68,
  /** Goes up whenever a TSC is written that does not match the others. */
  tscGeneration: 72,
  /** 1 once user space has set a TSC. */
  userSetTsc: 76,
  /** 1 once the host's TSC was seen to run back. */
  backwardsTscObserved: 80,
  /** 1 while vCPU 0's guest uses the old MSR. */
  bootVcpuRunsOldKvmclock: 84,
  /** u64: the last TSC write: when (ns), what (cycles), at which rate (Hz), and the offset it made (cycles). */
  lastTscNs: 88,
  lastTscWrite: 96,
  lastTscHz: 104,
  lastTscOffset: 112,
  /** u64: the write that began the generation: when (ns), what (cycles), and its offset (cycles). */
  generationNs: 120,
  generationWrite: 128,
  generationOffset: 136,

  /** u64: where the guest asked for its wall clock, last. */
  wallClockMsr: 144,
  /** u64: guest-physical address of the Hyper-V reference TSC page, bit 0 = keep it; 0 = none. */
  hypervPage: 152,
  /** The sequence that this page was given last. */
  hypervSequence: 176,
  /** u64, cycles: the host's TSC as it went to sleep; 0 = awake. */
  suspendTsc: 160,
  /** u64, ns: when every vCPU is to be asked for a new record once more, as KVM did every 300 s; 0 = never. */
  periodicUpdateDueNs: 168,
} as const;

/** Offsets of one vCPU's words. u32 unless said otherwise. */
export const VCPU_WORDS = {
  /** What others want of this vCPU before it runs guest code again: the bits of request-bits.ts. */
  requests: 0,
  /** OUTSIDE_GUEST_MODE or IN_GUEST_MODE. */
  mode: 4,
  /** 1 while somebody writes this vCPU's record; used where more than the vCPU's own thread may. */
  recordLock: 8,
  /** The version that the writer of 2014 keeps for itself. */
  hostVersion: 12,
  /** u64: guest-physical address of the record, bit 0 = keep it; 0 = none. */
  record: 16,
  /** u64, cycles, mod 2^64: guest TSC = scaled host TSC + this. */
  tscOffset: 24,
  /** u64: bits 0..31 mul, 32..39 shift, of guest cycles to ns (mul 0 = not known yet); bit 40 = TSC catch-up. */
  timeScale: 32,
  /** u64, 16.48 fixed point: guest cycles in one host cycle. */
  tscRatio: 40,
  /** u64: where the vCPU's line began last, while there is no master clock: host TSC (cycles) and time (ns). */
  ownHostTsc: 48,
  ownSystemTime: 56,

  /** u64: the same as `record` for the second copy that Xen keeps; in place of `ownHostTsc`, which Xen has not. */
  secondaryRecord: 48,

  /** 1 once the vCPU exists. */
  created: 64,
  /** The generation of matching TSCs that it is of. */
  tscGeneration: 68,
  /** 1 where its TSC must be bumped at every entry. */
  alwaysCatchUp: 72,
  /** u64: the value of the system-time MSR as the guest wrote it. */
  systemTimeMsr: 80,
  /** u64, Hz: the rate that the guest's TSC is to have. */
  tscHz: 88,
  /** u64: the write that its TSC counts from: when (ns), what (cycles). */
  thisTscNs: 96,
  thisTscWrite: 104,
  /** u64: bits 0..31 mul, 32..39 shift, of ns to guest cycles at `tscHz`. */
  virtualScale: 112,
  /** u64, cycles, mod 2^64: the TSC_ADJUST MSR. */
  tscAdjust: 120,
} as const;

export const VM_BYTES = 256;
export const VCPU_BYTES = 128;

/** Bit 40 of `timeScale`: the guest's TSC is to run faster than the processor lets it, and is bumped. */
export const TIME_SCALE_CATCH_UP = 1n << 40n;

/** Address of one of the VM's words. */
export function vmWord(offset: number): number {
  return HYPERVISOR_WORDS + offset;
}

/** Address of one of a vCPU's words. */
export function vcpuWord(vcpu: number, offset: number): number {
  return HYPERVISOR_WORDS + VM_BYTES + vcpu * VCPU_BYTES + offset;
}

/** Bytes that the words of a VM take. */
export function wordsBytes(vcpus: number): number {
  return VM_BYTES + vcpus * VCPU_BYTES;
}
