/**
 * The update of the VM-wide copy, with the freeze around it.
 *
 *   1. MCLOCK_INPROGRESS on every vCPU, each kicked; wait until none is in the guest      the freeze
 *   2. write the copy, under its sequence                                                 no guest code runs on any vCPU
 *   3. policy `record0`: write record 0; policy `all`: every record                       still none
 *   4. CLOCK_UPDATE on every other vCPU, so that none enters before its own record is new
 *   5. clear MCLOCK_INPROGRESS on every vCPU                                              the freeze is lifted
 *
 * KVM has no step 3. After 5 a vCPU that has its own record enters, and through record 0 it reads a line that the VM has
 * left, for as long as vCPU 0's thread does not run: it may be halted, preempted or in user space. That thread cannot be made
 * to run, so step 3 is the updater's: see record.ts for why it may.
 */
import type { HostCpu } from './cpu.ts';
import { acquire, release } from './lock.ts';
import { type MasterCopy, storeMasterCopy } from './master-copy.ts';
import type { VmSetup } from './policy.ts';
import { isWrittenByUpdater, writeRecordFrom } from './record.ts';
import { IN_GUEST_MODE, REQUEST } from './request-bits.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from './words.ts';

/** Makes the new copy: called once an update, under the lock, with every vCPU out of the guest where the policy freezes. */
export type NextCopy = (cpu: HostCpu) => MasterCopy;

const LOCK = vmWord(VM_WORDS.lock);

/** To be called by any thread that is itself out of guest mode. */
export function updateMasterClock(cpu: HostCpu, setup: VmSetup, next: NextCopy): void {
  if (setup.policy.lock === 'whole') {
    acquire(cpu, LOCK);
    updateMasterClockLocked(cpu, setup, next);
    release(cpu, LOCK);
    return;
  }
  freeze(cpu, setup); // before the lock: two updates at once share one set of MCLOCK_INPROGRESS bits
  acquire(cpu, LOCK);
  const copy = next(cpu);
  storeMasterCopy(cpu, copy);
  release(cpu, LOCK);
  newRecords(cpu, setup, copy);
  thaw(cpu, setup);
}

/** The same for one who holds the update lock from before the freeze to behind the thaw. */
export function updateMasterClockLocked(cpu: HostCpu, setup: VmSetup, next: NextCopy): void {
  freeze(cpu, setup);
  const copy = next(cpu);
  storeMasterCopy(cpu, copy);
  newRecords(cpu, setup, copy);
  thaw(cpu, setup);
}

/** Step 1: when it returns no vCPU runs guest code, and none will before `thaw`. */
export function freeze(cpu: HostCpu, setup: VmSetup): void {
  if (setup.policy.freeze === 'none') return;
  for (let vcpu = 0; vcpu < setup.vcpus; vcpu++) {
    cpu.fetchOr32(vcpuWord(vcpu, VCPU_WORDS.requests), REQUEST.MCLOCK_INPROGRESS); // request before mode: the gate's other half
    cpu.kick(vcpu);
  }
  for (let vcpu = 0; vcpu < setup.vcpus; vcpu++) waitUntilOut(cpu, vcpuWord(vcpu, VCPU_WORDS.mode));
}

function waitUntilOut(cpu: HostCpu, mode: number): void {
  while (cpu.load32(mode) === IN_GUEST_MODE) {
    cpu.wait32(mode, IN_GUEST_MODE);
    cpu.relax();
  }
}

/**
 * Steps 3 and 4. A vCPU whose record was written here need not write it again, unless the record must hold a sample of
 * its own processor.
 */
function newRecords(cpu: HostCpu, setup: VmSetup, copy: MasterCopy): void {
  for (let vcpu = 0; vcpu < setup.vcpus; vcpu++) {
    if (isWrittenByUpdater(setup.policy, vcpu) && writeFrozenRecord(cpu, setup, vcpu, copy)) continue;
    cpu.fetchOr32(vcpuWord(vcpu, VCPU_WORDS.requests), REQUEST.CLOCK_UPDATE);
    if (setup.policy.freeze === 'none') cpu.kick(vcpu); // it may be in the guest
  }
}

/** True where the record is what the vCPU itself would write. */
function writeFrozenRecord(cpu: HostCpu, setup: VmSetup, vcpu: number, copy: MasterCopy): boolean {
  const lock = vcpuWord(vcpu, VCPU_WORDS.recordLock);
  acquire(cpu, lock);
  const written = writeRecordFrom(cpu, setup, vcpu, copy, false);
  release(cpu, lock);
  return copy.useMasterClock && written === 'written';
}

/** Step 5. */
export function thaw(cpu: HostCpu, setup: VmSetup): void {
  if (setup.policy.freeze === 'none') return;
  for (let vcpu = 0; vcpu < setup.vcpus; vcpu++) {
    const requests = vcpuWord(vcpu, VCPU_WORDS.requests);
    cpu.fetchAndNot32(requests, REQUEST.MCLOCK_INPROGRESS);
    cpu.wake32(requests);
  }
}
