/** What happens to the host, and what its VMs' clocks do about it. */
import { moveTsc, scaledTsc } from './guest-tsc.ts';
import { clockAt, forgetOwnLines, nextCopy, refreshedCopy } from './master-clock.ts';
import { loadMasterCopy, type MasterCopy } from './master-copy.ts';
import { isKept } from './record.ts';
import { REQUEST } from './request-bits.ts';
import { request, requestAll, serveDueUpdate } from './requests.ts';
import { updateMasterClock } from './update.ts';
import { isCreated, type KvmVm, underLock } from './vm.ts';
import { TIME_SCALE_CATCH_UP, VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from './words.ts';

/** ns: how often KVM until 6.18 asked all vCPUs for new records. */
export const PERIODIC_UPDATE_NS = 300_000_000_000n;

/**
 * The host's clocksource is another now. KVM asks every vCPU to take the copy anew and kicks none, so that guests go on by
 * records that say stable until something else makes them exit, and then every vCPU does the whole update once more. It
 * hears of a loss alone: where the host takes its TSC back, its VMs stay unstable until something else makes an update.
 */
export function hostClocksourceChanged(vm: KvmVm): void {
  if (vm.flavour.clocksourceLoss === 'at-once') refresh(vm);
  else if (vm.hostClock.sample() === undefined) requestAll(vm.cpu, vm.setup, REQUEST.MASTERCLOCK_UPDATE, false);
}

/** Takes the VM-wide copy anew; every record follows before its vCPU enters. */
export function refresh(vm: KvmVm): void {
  updateMasterClock(vm.cpu, vm.setup, refreshedCopy(vm));
}

/**
 * `vcpu`'s thread runs on another processor of the host now. With a master clock that changes nothing; without one every record
 * is asked for anew. Where TSCs cannot be compared at all, the guest's goes on from `lastGuestTsc`, what it showed as
 * it left the other processor, and is caught up from then on.
 */
export function vcpuMoved(vm: KvmVm, vcpu: number, lastGuestTsc?: bigint): void {
  const { cpu, setup } = vm;
  if (vm.hostClock.sample() === undefined && lastGuestTsc !== undefined) {
    const timeScale = vcpuWord(vcpu, VCPU_WORDS.timeScale);
    const offset = BigInt.asUintN(64, lastGuestTsc - scaledTsc(cpu, setup, vcpu, cpu.hostTsc()));
    cpu.store64(vcpuWord(vcpu, VCPU_WORDS.tscOffset), offset);
    cpu.store64(timeScale, cpu.load64(timeScale) | TIME_SCALE_CATCH_UP);
  }
  if (cpu.load32(vmWord(VM_WORDS.useMasterClock)) === 0) request(cpu, vcpu, REQUEST.GLOBAL_CLOCK_UPDATE, false);
}

/** The host is about to sleep: no vCPU runs, and none will before `hostResumed`. */
export function hostSuspending(vm: KvmVm): void {
  const { cpu, setup } = vm;
  if (setup.policy.base === 'continuous') {
    // The line as it stands is tied to the host's clock, so that what passes in sleep, passes for the VM too.
    updateMasterClock(cpu, setup, () => nextCopy(vm, (fresh, old, hostTsc) => tiedOffset(vm, fresh, old, hostTsc)));
  }
  cpu.store64(vmWord(VM_WORDS.suspendTsc), cpu.hostTsc());
  if (!vm.flavour.stoppedOnSuspend) return;
  for (let vcpu = 0; vcpu < setup.vcpus; vcpu++) {
    if (!isKept(cpu.load64(vcpuWord(vcpu, VCPU_WORDS.record)))) continue;
    request(cpu, vcpu, REQUEST.CLOCK_UPDATE | REQUEST.GUEST_STOPPED, false);
  }
}

/**
 * The host is awake. Where its TSC came back lower, every vCPU's offset makes up for it, so that no guest sees its TSC run
 * back. KVM then gives the VM up for the master clock; ours takes a new line, as the offsets still match. Where nobody said
 * that the host would sleep, the last TSC that is known of is that of the VM-wide copy.
 */
export function hostResumed(vm: KvmVm): void {
  const { cpu, setup } = vm;
  const suspendTsc = vmWord(VM_WORDS.suspendTsc);
  const announced = cpu.load64(suspendTsc);
  cpu.store64(suspendTsc, 0n);
  const before = announced !== 0n ? announced : loadMasterCopy(cpu).masterCycleNow;
  if (setup.policy.base === 'kvm') {
    underLock(vm, () => makeUpFor(vm, before));
    requestAll(cpu, setup, REQUEST.MASTERCLOCK_UPDATE, false);
    return;
  }
  if (announced === 0n && cpu.hostTsc() >= before) {
    refresh(vm);
    return;
  }
  updateMasterClock(cpu, setup, () => {
    makeUpFor(vm, before);
    forgetOwnLines(vm); // they are over the TSC of before
    return nextCopy(vm, (_fresh, old) => old.kvmclockOffset);
  });
}

/** To be called under the lock. `before`: the host's TSC as it went to sleep. */
function makeUpFor(vm: KvmVm, before: bigint): void {
  const { cpu, setup, flavour } = vm;
  const now = cpu.hostTsc();
  if (now >= before) return;
  if (flavour.backwardsTsc === 'no-vm') vm.host.backwardsTscObserved = true;
  if (flavour.backwardsTsc === 'not-this-vm') cpu.store32(vmWord(VM_WORDS.backwardsTscObserved), 1);
  for (let vcpu = 0; vcpu < setup.vcpus; vcpu++) {
    if (isCreated(vm, vcpu)) moveTsc(cpu, vcpu, scaledTsc(cpu, setup, vcpu, before) - scaledTsc(cpu, setup, vcpu, now));
  }
  cpu.store64(vmWord(VM_WORDS.lastTscNs), 0n);
  cpu.store64(vmWord(VM_WORDS.lastTscWrite), 0n);
}

function tiedOffset(vm: KvmVm, fresh: MasterCopy, old: MasterCopy, hostTsc: bigint): bigint {
  return old.useMasterClock ? clockAt(vm.cpu, vm.setup, old, hostTsc) - fresh.masterKernelNs : old.kvmclockOffset;
}

/** What the flavours before 6.19 leave to a timer: updates that were put off, and the periodic one. */
export function tick(vm: KvmVm): void {
  const { cpu, setup } = vm;
  serveDueUpdate(cpu, setup);
  if (!vm.flavour.periodicUpdate) return;
  const due = vmWord(VM_WORDS.periodicUpdateDueNs);
  const now = cpu.hostNs();
  if (now < cpu.load64(due)) return;
  requestAll(cpu, setup, REQUEST.CLOCK_UPDATE, true);
  cpu.store64(due, now + PERIODIC_UPDATE_NS);
}
