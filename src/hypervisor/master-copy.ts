/**
 * The VM-wide copy: one instant on the host's clock and on its TSC, from which every record of a stable VM is made, so that
 * all of them lie on one line. Two vCPUs that took a sample each would be apart by the difference of the samples' errors.
 * It stands under a sequence count of its own: one writer (who holds the lock), any number of readers.
 */
import type { HostCpu } from './cpu.ts';
import { VM_WORDS, vmWord } from './words.ts';

/** One instant of the host, from which the records of a stable VM are made. */
export interface MasterCopy {
  /** All records lie on one line and carry the stable bit. Where false, each vCPU samples for itself. */
  readonly useMasterClock: boolean;
  /** The host's clock, in ns since its boot ... */
  readonly masterKernelNs: bigint;
  /** ... at this host TSC. */
  readonly masterCycleNow: bigint;
  /** Added to the host's clock for the VM's: ns, mod 2^64. */
  readonly kvmclockOffset: bigint;
}

const SEQUENCE = vmWord(VM_WORDS.sequence);
const USE_MASTER_CLOCK = vmWord(VM_WORDS.useMasterClock);
const MASTER_KERNEL_NS = vmWord(VM_WORDS.masterKernelNs);
const MASTER_CYCLE_NOW = vmWord(VM_WORDS.masterCycleNow);
const KVMCLOCK_OFFSET = vmWord(VM_WORDS.kvmclockOffset);

/** To be called under the update lock. */
export function storeMasterCopy(cpu: HostCpu, copy: MasterCopy): void {
  const odd = (cpu.load32(SEQUENCE) + 1) >>> 0;
  cpu.store32(SEQUENCE, odd);
  cpu.writeBarrier(); // odd sequence before copy
  cpu.store32(USE_MASTER_CLOCK, copy.useMasterClock ? 1 : 0);
  cpu.store64(MASTER_KERNEL_NS, copy.masterKernelNs);
  cpu.store64(MASTER_CYCLE_NOW, copy.masterCycleNow);
  cpu.store64(KVMCLOCK_OFFSET, copy.kvmclockOffset);
  cpu.writeBarrier(); // copy before even sequence
  cpu.store32(SEQUENCE, (odd + 1) >>> 0);
}

/** One copy, whole; the sequence must be even and the same on both sides of it. x86 keeps the loads in this order. */
export function loadMasterCopy(cpu: HostCpu): MasterCopy {
  for (;;) {
    const sequence = (cpu.load32(SEQUENCE) & ~1) >>> 0; // an odd one never compares equal
    const copy = {
      useMasterClock: cpu.load32(USE_MASTER_CLOCK) === 1,
      masterKernelNs: cpu.load64(MASTER_KERNEL_NS),
      masterCycleNow: cpu.load64(MASTER_CYCLE_NOW),
      kvmclockOffset: cpu.load64(KVMCLOCK_OFFSET),
    };
    if (cpu.load32(SEQUENCE) === sequence) return copy;
    cpu.relax();
  }
}

/** As KVM does it: the offset is read once the sequence was found unchanged, so it may belong to a later copy. */
export function loadMasterCopyOffsetAfter(cpu: HostCpu): MasterCopy {
  for (;;) {
    const sequence = (cpu.load32(SEQUENCE) & ~1) >>> 0;
    const useMasterClock = cpu.load32(USE_MASTER_CLOCK) === 1;
    const masterKernelNs = cpu.load64(MASTER_KERNEL_NS);
    const masterCycleNow = cpu.load64(MASTER_CYCLE_NOW);
    if (cpu.load32(SEQUENCE) === sequence) {
      return { useMasterClock, masterKernelNs, masterCycleNow, kvmclockOffset: cpu.load64(KVMCLOCK_OFFSET) };
    }
    cpu.relax();
  }
}
