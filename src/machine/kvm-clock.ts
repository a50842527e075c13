/**
 * Who keeps a guest's clock, as its host sees it: KVM, or our hypervisor in KVM's place. What the vm commands do to a clock,
 * they do through this.
 */
import { KVM_CLOCK_REALTIME } from '../abi/kvm-clock-data.ts';
import { KVM_MSR_ENABLED, MSR_KVM_SYSTEM_TIME_NEW } from '../abi/msr.ts';
import type { KvmHypervisor } from '../hypervisor/kvm.ts';
import type { Vm } from './kvm-vm.ts';

export interface GuestClock {
  /** Keeps the record of `vcpu` at `address` of the guest, as a host does that restores it. It is written at the next entry. */
  enable(vcpu: number, address: number): void;
  /** The VM's clock now, ns. */
  now(): bigint;
  /** Sets the VM's clock to `ns`. */
  set(ns: bigint): void;
  /** Takes a new base for the same clock. */
  refresh(): void;
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
  return {
    enable: (vcpu, address) => vm.vcpus[vcpu]!.setMsr(MSR_KVM_SYSTEM_TIME_NEW, registered(address)),
    now: () => vm.getClock().clock,
    set: (clock) => vm.setClock({ clock }),
    refresh: () => {
      const { clock, realtime, flags } = vm.getClock();
      vm.setClock({ clock, realtime, flags: flags & KVM_CLOCK_REALTIME }); // KVM adds the real time that has passed
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
    now: () => hypervisor.getClock().clock,
    set: (clock) => hypervisor.setClock({ clock, flags: 0 }),
    refresh: () => hypervisor.refresh(),
    mismatchTsc: (id) => {
      const vcpu = vm.vcpus[id]!;
      const offset = moved(vcpu.tscOffset());
      vcpu.setTscOffset(offset);
      hypervisor.setTscOffset(id, offset);
    },
    noteStopped: (vcpu) => hypervisor.kvmclockCtrl(vcpu),
  };
}
