/**
 * Who keeps a guest's clock, as its host sees it: KVM, or our hypervisor in KVM's place. What the vm commands do to a clock,
 * they do through this.
 */
import { KVM_CLOCK_REALTIME, type KvmClockData } from '../../abi/kvm-clock-data.ts';
import { KVM_MSR_ENABLED, MSR_KVM_SYSTEM_TIME_NEW } from '../../abi/msr.ts';
import type { KvmHypervisor } from '../../hypervisor/kvm.ts';
import type { Vm } from './vm.ts';

/** `flags` 0 where none are given. */
export type ClockSetting = Partial<KvmClockData> & Pick<KvmClockData, 'clock'>;

export interface GuestClock {
  /** Keeps the record of `vcpu` at `address` of the guest, as a host does that restores it. It is written at the next entry. */
  enable(vcpu: number, address: number): void;
  /** KVM_GET_CLOCK: the VM's clock now, with the host's real time and TSC at that instant where they are known. */
  get(): KvmClockData;
  /** KVM_SET_CLOCK: throws where `flags` are not known. */
  set(data: ClockSetting): void;
  /** Takes a new base for the same clock; KVM does it where the clock is set to what it is. */
  refresh(): void;
  /** The same where every vCPU is out of the guest, without setting the clock: KVM does it when TSCs have matched anew. */
  rebase(): void;
  /** Ends the clock's stability: the TSC of `vcpu`, which must be out of the guest, no longer matches the others'. */
  mismatchTsc(vcpu: number): void;
  /** Has the guest told, at the next entry of `vcpu`, that it was stopped. */
  noteStopped(vcpu: number): void;
}

/** Cycles by which a TSC is moved so that it matches no other: enough for the hypervisor, too little to be read. */
const MISMATCH_CYCLES = 1n;

const registered = (address: number): bigint => BigInt(address | KVM_MSR_ENABLED);
const moved = (offset: bigint): bigint => BigInt.asUintN(64, offset + MISMATCH_CYCLES);

export function kvmClock(vm: Vm): GuestClock {
  let offset = 0n;
  return {
    enable: (vcpu, address) => vm.vcpus[vcpu]!.setMsr(MSR_KVM_SYSTEM_TIME_NEW, registered(address)),
    get: () => vm.getClock(),
    set: (data) => vm.setClock(data),
    refresh: () => {
      const { clock, realtime, flags } = vm.getClock();
      vm.setClock({ clock, realtime, flags: flags & KVM_CLOCK_REALTIME }); // KVM adds the real time that has passed
    },
    rebase: () => {
      offset = moved(offset); // another one each time: KVM takes no notice of the one that it has
      for (const vcpu of vm.vcpus) vcpu.setTscOffset(offset);
    },
    mismatchTsc: (id) => {
      const vcpu = vm.vcpus[id]!;
      vcpu.setTscOffset(moved(vcpu.tscOffset()));
    },
    noteStopped: (vcpu) => vm.vcpus[vcpu]!.kvmclockCtrl(),
  };
}

/** `vm`: its TSC offsets are still KVM's, which the hypervisor is told of. */
export function ownClock(vm: Vm, hypervisor: KvmHypervisor): GuestClock {
  for (const vcpu of vm.vcpus) hypervisor.setTscOffset(vcpu.id, vcpu.tscOffset());
  return {
    enable: (vcpu, address) => void hypervisor.wrmsr(vcpu, MSR_KVM_SYSTEM_TIME_NEW, registered(address), 'host'),
    get: () => hypervisor.getClock(),
    set: (data) => hypervisor.setClock({ flags: 0, ...data }),
    refresh: () => hypervisor.refresh(),
    rebase: () => hypervisor.refresh(),
    mismatchTsc: (id) => {
      const vcpu = vm.vcpus[id]!;
      const offset = moved(vcpu.tscOffset());
      vcpu.setTscOffset(offset);
      hypervisor.setTscOffset(id, offset);
    },
    noteStopped: (vcpu) => hypervisor.kvmclockCtrl(vcpu),
  };
}
