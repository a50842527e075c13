/** One VM as the hypervisor's functions know it: what does not change, beside its words. */
import { KVM_FEATURE_CLOCKSOURCE, KVM_FEATURE_CLOCKSOURCE_STABLE_BIT, KVM_FEATURE_CLOCKSOURCE2 } from '../abi/cpuid.ts';
import type { HostCpu } from './cpu.ts';
import type { HypervisorEvents } from './events.ts';
import type { Flavour } from './flavours.ts';
import type { HostClock, HostState } from './host-clock.ts';
import { acquire, release } from './lock.ts';
import type { VmSetup } from './policy.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from './words.ts';

/** One VM: what does not change, and the memory that everything else is in. */
export interface KvmVm {
  readonly cpu: HostCpu;
  readonly setup: VmSetup;
  readonly flavour: Flavour;
  readonly hostClock: HostClock;
  readonly host: HostState;
  readonly events: HypervisorEvents;
  /** EAX of the feature leaf. */
  readonly features: number;
  /** True where the guest has memory at all of these bytes. */
  holds(address: number, bytes: number): boolean;
}

/** Bits of the feature leaf that every flavour offers. */
export const CLOCK_FEATURES =
  (1 << KVM_FEATURE_CLOCKSOURCE) | (1 << KVM_FEATURE_CLOCKSOURCE2) | (1 << KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);

/** A call that KVM would answer with an error number. */
export class ClockError extends Error {
  readonly code: 'EINVAL' | 'ENOTTY';

  constructor(code: 'EINVAL' | 'ENOTTY', message: string) {
    super(`${code}: ${message}`);
    this.name = 'ClockError';
    this.code = code;
  }
}

/** The host's TSC rate as this flavour keeps it, Hz; 0 while not known. */
export function hostTscHz(vm: KvmVm): bigint {
  const hz = vm.hostClock.tscHz();
  return vm.flavour.rate === 'khz' ? (hz / 1000n) * 1000n : hz;
}

/** Runs `body` under the VM's update lock. It must not throw: nothing here catches, so the lock would stay taken. */
export function underLock<T>(vm: KvmVm, body: () => T): T {
  const lock = vmWord(VM_WORDS.lock);
  acquire(vm.cpu, lock);
  const result = body();
  release(vm.cpu, lock);
  return result;
}

export function isCreated(vm: KvmVm, vcpu: number): boolean {
  return vm.cpu.load32(vcpuWord(vcpu, VCPU_WORDS.created)) === 1;
}
