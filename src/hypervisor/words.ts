/**
 * Where the hypervisor's own words stand: one table for the VM, one for each vCPU behind it. They lie in HostCpu's second
 * address space, so that every thread of the hypervisor, and the checker, reaches them in the same way.
 *
 *   HYPERVISOR_WORDS  +-- VM_WORDS ----------+
 *                     |  lock, VM-wide copy  |
 *   + VM_BYTES        +-- VCPU_WORDS of 0 ---+
 *   + VCPU_BYTES each |  requests, mode, ... |
 */
import { HYPERVISOR_WORDS } from './cpu.ts';

/** Offsets of the VM's words. u32 unless said otherwise. */
export const VM_WORDS = {
  /** 1 while somebody updates the VM-wide copy. */
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
} as const;

/** Offsets of one vCPU's words. u32 unless said otherwise. */
export const VCPU_WORDS = {
  /** What others want of this vCPU before it runs guest code again: the bits of requests.ts. */
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
  /** u64: bits 0..31 mul, 32..39 shift, of guest cycles to ns; mul 0 = not known yet. */
  timeScale: 32,
  /** u64, 16.48 fixed point: guest cycles in one host cycle. */
  tscRatio: 40,
} as const;

export const VM_BYTES = 256;
export const VCPU_BYTES = 128;

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
