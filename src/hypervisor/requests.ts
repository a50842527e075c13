/**
 * The run loop of one vCPU: what its thread does between two stretches of guest code.
 *
 *   enter:  serve the requests: MASTERCLOCK_UPDATE, then GLOBAL_CLOCK_UPDATE, then CLOCK_UPDATE
 *           mode = IN_GUEST; fence; any request left or new?   yes: mode = OUTSIDE, again      no: guest code runs
 *   leave:  mode = OUTSIDE
 *
 * The gate is one half of a handshake, the freeze the other: the vCPU stores its mode and then looks at the requests, the
 * freezer stores a request and then looks at the mode. With a full fence between the two steps on both sides, at least one
 * of them sees the other.
 */
import type { HostCpu } from './cpu.ts';
import { acquire, release } from './lock.ts';
import type { VmSetup } from './policy.ts';
import { writeRecord } from './record.ts';
import { IN_GUEST_MODE, OUTSIDE_GUEST_MODE, REQUEST } from './request-bits.ts';
import { type NextCopy, updateMasterClock, updateMasterClockLocked } from './update.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from './words.ts';

/** ns: how long KVM until 6.18 waited before it asked all vCPUs for new records. */
export const GLOBAL_UPDATE_DELAY_NS = 100_000_000n;

/** Returns once `vcpu` may run guest code, its mode IN_GUEST_MODE. Sleeps while an update holds it out. */
export function enter(cpu: HostCpu, setup: VmSetup, vcpu: number, next: NextCopy): void {
  for (;;) {
    const pending = serveRequests(cpu, setup, vcpu, next);
    if ((pending & REQUEST.MCLOCK_INPROGRESS) !== 0) {
      cpu.wait32(vcpuWord(vcpu, VCPU_WORDS.requests), REQUEST.MCLOCK_INPROGRESS);
    } else if (openGate(cpu, vcpu)) return;
    cpu.relax();
  }
}

/** One attempt to enter, requests served first; false where the gate stayed shut. For loops that have more to look at. */
export function tryEnter(cpu: HostCpu, setup: VmSetup, vcpu: number, next: NextCopy): boolean {
  serveRequests(cpu, setup, vcpu, next);
  return openGate(cpu, vcpu);
}

/** `vcpu` has left the guest. */
export function leave(cpu: HostCpu, vcpu: number): void {
  const mode = vcpuWord(vcpu, VCPU_WORDS.mode);
  cpu.store32(mode, OUTSIDE_GUEST_MODE);
  cpu.wake32(mode); // a freezer may wait for it
}

/** The entry gate: true with mode IN_GUEST_MODE where no request is left, else false with mode OUTSIDE_GUEST_MODE. */
export function openGate(cpu: HostCpu, vcpu: number): boolean {
  cpu.store32(vcpuWord(vcpu, VCPU_WORDS.mode), IN_GUEST_MODE);
  cpu.fence(); // mode before requests: a freezer that we do not see sees us
  if (cpu.load32(vcpuWord(vcpu, VCPU_WORDS.requests)) === 0) return true;
  leave(cpu, vcpu);
  return false;
}

/** Takes each request that is pending, in order, and does what it asks. Returns the requests found. */
export function serveRequests(cpu: HostCpu, setup: VmSetup, vcpu: number, next: NextCopy): number {
  const requests = vcpuWord(vcpu, VCPU_WORDS.requests);
  let pending = cpu.load32(requests);
  if ((pending & REQUEST.MASTERCLOCK_UPDATE) !== 0) {
    serveMasterClockUpdate(cpu, setup, vcpu, next);
    pending = cpu.load32(requests); // the update has asked this vCPU too for its record
  }
  if ((pending & REQUEST.GLOBAL_CLOCK_UPDATE) !== 0) {
    cpu.fetchAndNot32(requests, REQUEST.GLOBAL_CLOCK_UPDATE);
    askAll(cpu, setup, vcpu);
    pending |= REQUEST.CLOCK_UPDATE;
  }
  if ((pending & REQUEST.CLOCK_UPDATE) !== 0) {
    // Taken before the copy is read: an update that comes between asks again.
    const taken = cpu.fetchAndNot32(requests, REQUEST.CLOCK_UPDATE | REQUEST.GUEST_STOPPED);
    const written = writeRecord(cpu, setup, vcpu, (taken & REQUEST.GUEST_STOPPED) !== 0);
    if (written === 'unknown-rate') cpu.fetchOr32(requests, taken & (REQUEST.CLOCK_UPDATE | REQUEST.GUEST_STOPPED));
  }
  return pending;
}

/** Sets `bits` in the requests of every vCPU; `kick` to have them served soon rather than at the next exit. */
export function requestAll(cpu: HostCpu, setup: VmSetup, bits: number, kick: boolean): void {
  for (let vcpu = 0; vcpu < setup.vcpus; vcpu++) request(cpu, vcpu, bits, kick);
}

/** The same for one vCPU. */
export function request(cpu: HostCpu, vcpu: number, bits: number, kick: boolean): void {
  cpu.fetchOr32(vcpuWord(vcpu, VCPU_WORDS.requests), bits);
  if (kick) cpu.kick(vcpu);
}

/**
 * Where every vCPU was asked for the same update, KVM lets each repeat it. `once`: the first takes the request from all,
 * under the lock and before it samples, so those that come second find nothing left to do.
 */
function serveMasterClockUpdate(cpu: HostCpu, setup: VmSetup, vcpu: number, next: NextCopy): void {
  const requests = vcpuWord(vcpu, VCPU_WORDS.requests);
  if (setup.policy.update === 'repeat') {
    cpu.fetchAndNot32(requests, REQUEST.MASTERCLOCK_UPDATE);
    updateMasterClock(cpu, setup, next);
    return;
  }
  const lock = vmWord(VM_WORDS.lock);
  acquire(cpu, lock);
  if ((cpu.load32(requests) & REQUEST.MASTERCLOCK_UPDATE) !== 0) {
    for (let other = 0; other < setup.vcpus; other++) {
      cpu.fetchAndNot32(vcpuWord(other, VCPU_WORDS.requests), REQUEST.MASTERCLOCK_UPDATE);
    }
    updateMasterClockLocked(cpu, setup, next);
  }
  release(cpu, lock);
}

/** New records on all vCPUs: at once, or for the others once the delay has passed (`serveDueUpdate`). */
function askAll(cpu: HostCpu, setup: VmSetup, vcpu: number): void {
  if (setup.policy.global === 'at-once') {
    requestAll(cpu, setup, REQUEST.CLOCK_UPDATE, true);
    return;
  }
  cpu.fetchOr32(vcpuWord(vcpu, VCPU_WORDS.requests), REQUEST.CLOCK_UPDATE);
  const due = vmWord(VM_WORDS.globalUpdateDueNs);
  if (cpu.load64(due) === 0n) cpu.store64(due, cpu.hostNs() + GLOBAL_UPDATE_DELAY_NS);
}

/** Asks all vCPUs for new records if a delayed update has come due; true if it had. For the VMM's timer. */
export function serveDueUpdate(cpu: HostCpu, setup: VmSetup): boolean {
  const due = vmWord(VM_WORDS.globalUpdateDueNs);
  const dueNs = cpu.load64(due);
  if (dueNs === 0n || cpu.hostNs() < dueNs) return false;
  cpu.store64(due, 0n);
  requestAll(cpu, setup, REQUEST.CLOCK_UPDATE, true);
  return true;
}
