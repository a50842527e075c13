/**
 * One vCPU's record, made from the VM-wide copy: the copy's instant as the guest's TSC and the VM's clock show it, and the
 * pair that goes on from there. Where the VM is not stable, from a sample taken here and now, for this vCPU alone.
 *
 * Who may write a record: its vCPU's own thread, before it enters the guest. Under the policies `record0` and `all` also
 * the updater, while every vCPU is held out of the guest. So there the two must keep clear of each other: they hold the
 * record's lock, and the copy is read under it. Then the record never goes back: if vCPU 0's thread came first with the old copy,
 * the updater writes over it; if it comes second, the copy that it reads is the new one. The guest clears GUEST_STOPPED
 * by a plain read and write, which is safe for the same reason as ever: no guest code of this vCPU runs meanwhile.
 * A record that the updater made for an unstable VM holds a sample of the updater's own processor. Nobody but vCPU 0 may
 * use its line then, and vCPU 0 writes it anew before it enters, as CLOCK_UPDATE stays set.
 */
import { KVM_MSR_ENABLED } from '../abi/msr.ts';
import { PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT } from '../abi/pvti.ts';
import { catchUp } from './catch-up.ts';
import type { HostCpu } from './cpu.ts';
import { guestTsc, mulOf, shiftOf } from './guest-tsc.ts';
import { publishHypervPage } from './hyperv.ts';
import { acquire, release } from './lock.ts';
import { loadMasterCopy, loadMasterCopyOffsetAfter, type MasterCopy } from './master-copy.ts';
import type { Policy, VmSetup } from './policy.ts';
import { type PvtiBody, publish } from './publish.ts';
import { TIME_SCALE_CATCH_UP, VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from './words.ts';

/** What became of a request to write a record: `unknown-rate`, it must be asked for again; `inactive`, the guest keeps none. */
export type Written = 'written' | 'inactive' | 'unknown-rate';

/** True where the updater writes this record too, so that its lock is needed. */
export function isWrittenByUpdater(policy: Policy, vcpu: number): boolean {
  return policy.freeze === 'all' || (policy.freeze === 'record0' && vcpu === 0);
}

/** Writes `vcpu`'s record from the VM-wide copy as it stands. To be called by the vCPU's thread, out of the guest. */
export function writeRecord(cpu: HostCpu, setup: VmSetup, vcpu: number, stopped: boolean): Written {
  const locked = isWrittenByUpdater(setup.policy, vcpu);
  const lock = vcpuWord(vcpu, VCPU_WORDS.recordLock);
  if (locked) acquire(cpu, lock);
  const copy = setup.policy.offset === 'within' ? loadMasterCopy(cpu) : loadMasterCopyOffsetAfter(cpu);
  const written = writeRecordFrom(cpu, setup, vcpu, copy, stopped);
  if (locked) release(cpu, lock);
  return written;
}

/** The same from a copy in hand; the updater calls it under the record's lock. */
export function writeRecordFrom(
  cpu: HostCpu,
  setup: VmSetup,
  vcpu: number,
  copy: MasterCopy,
  stopped: boolean,
): Written {
  const record = cpu.load64(vcpuWord(vcpu, VCPU_WORDS.record));
  const page = setup.hypervPage === true && vcpu === 0 ? cpu.load64(vmWord(VM_WORDS.hypervPage)) : 0n;
  if (!isKept(record) && !isKept(page)) {
    const behind = (cpu.load64(vcpuWord(vcpu, VCPU_WORDS.timeScale)) & TIME_SCALE_CATCH_UP) !== 0n;
    if (behind) bodyFrom(cpu, setup, vcpu, copy, 0); // the TSC of a guest without a record is caught up all the same
    return 'inactive';
  }
  const body = bodyFrom(cpu, setup, vcpu, copy, stopped ? PVCLOCK_GUEST_STOPPED : 0);
  if (body === undefined) return 'unknown-rate';
  if (isKept(page)) publishHypervPage(cpu, addressOf(page), body);
  if (!isKept(record)) return 'inactive';
  publish(cpu, setup.policy.writer, addressOf(record), body, vcpuWord(vcpu, VCPU_WORDS.hostVersion));
  return 'written';
}

/** The record that `vcpu` would be given, with more `flags`; undefined while the TSC's rate is not known. */
export function bodyFrom(
  cpu: HostCpu,
  setup: VmSetup,
  vcpu: number,
  copy: MasterCopy,
  flags: number,
): PvtiBody | undefined {
  const timeScale = cpu.load64(vcpuWord(vcpu, VCPU_WORDS.timeScale));
  const mul = mulOf(timeScale);
  if (mul === 0) return undefined;
  const { useMasterClock } = copy;
  const hostTsc = useMasterClock ? copy.masterCycleNow : cpu.hostTsc();
  const hostNs = useMasterClock ? copy.masterKernelNs : cpu.hostNs(); // the vCPU's own sample, in two steps
  const tsc = guestTsc(cpu, setup, vcpu, hostTsc);
  const behind = (timeScale & TIME_SCALE_CATCH_UP) !== 0n;
  const tscTimestamp = behind ? catchUp(cpu, setup.policy, vcpu, tsc, hostNs) : tsc;
  const systemTime = BigInt.asUintN(64, hostNs + copy.kvmclockOffset);
  if (!useMasterClock && setup.policy.base === 'continuous') noteOwnLine(cpu, vcpu, hostTsc, systemTime);
  return {
    tscTimestamp,
    systemTime,
    tscToSystemMul: mul,
    tscShift: shiftOf(timeScale),
    flags: flags | (useMasterClock ? PVCLOCK_TSC_STABLE_BIT : 0),
  };
}

/** Where this vCPU's own line begins, so that a line of all vCPUs can begin no lower. */
function noteOwnLine(cpu: HostCpu, vcpu: number, hostTsc: bigint, systemTime: bigint): void {
  cpu.store64(vcpuWord(vcpu, VCPU_WORDS.ownHostTsc), hostTsc);
  cpu.store64(vcpuWord(vcpu, VCPU_WORDS.ownSystemTime), systemTime);
}

/** Bit 0 of the words `record` and `hypervPage`, and of their MSRs. */
export function isKept(word: bigint): boolean {
  return (word & BigInt(KVM_MSR_ENABLED)) !== 0n;
}

/** The address in such a word. */
export function addressOf(word: bigint): number {
  return Number(word & ~BigInt(KVM_MSR_ENABLED));
}
