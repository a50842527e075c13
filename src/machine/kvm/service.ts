/**
 * Our hypervisor around KVM_RUN: its run loop in each vCPU's thread, its MSRs at the guest's exits, its records in the
 * guest's memory, which every thread sees. KVM runs the guest and knows nothing of the clock.
 */
import { completeMsr } from '../../abi/kvm-run.ts';
import {
  MSR_KVM_SYSTEM_TIME,
  MSR_KVM_SYSTEM_TIME_NEW,
  MSR_KVM_WALL_CLOCK,
  MSR_KVM_WALL_CLOCK_NEW,
} from '../../abi/msr.ts';
import { HYPERVISOR_WORDS } from '../../hypervisor/cpu.ts';
import type { Flavour } from '../../hypervisor/flavours.ts';
import { attachKvm, createKvm, type KvmHypervisor, type KvmOptions } from '../../hypervisor/kvm.ts';
import type { FlavourName } from '../../hypervisor/policy.ts';
import { IN_GUEST_MODE, REQUEST } from '../../hypervisor/request-bits.ts';
import { createWords, sharedMemory } from '../../hypervisor/shared-memory.ts';
import { VCPU_WORDS, vcpuWord } from '../../hypervisor/words.ts';
import type { Sys } from '../sys.ts';
import { type HostLine, hostClock, hostLine } from './host-clock.ts';
import { kickThread, type VcpuService } from './loop.ts';
import type { VcpuThread } from './thread.ts';
import type { MsrRange, Vm } from './vm.ts';

/** The MSRs that KVM is to leave to us. */
const CLOCK_MSRS: readonly MsrRange[] = [
  { first: MSR_KVM_WALL_CLOCK, count: MSR_KVM_SYSTEM_TIME - MSR_KVM_WALL_CLOCK + 1 },
  { first: MSR_KVM_WALL_CLOCK_NEW, count: MSR_KVM_SYSTEM_TIME_NEW - MSR_KVM_WALL_CLOCK_NEW + 1 },
];

/** A vCPU that is held out looks this often whether its thread is to stop. */
const LOOK_AGAIN_MS = 10;

/** How to bring a vCPU out of the guest: its thread's control block, and its kvm_run in this process. */
export interface KickTarget {
  readonly control: SharedArrayBuffer;
  readonly runAddress: bigint;
  readonly runBytes: number;
}

/** What each thread needs to serve one VM's clock; all of it survives postMessage. */
export interface ClockServiceData {
  readonly flavour: FlavourName | Flavour;
  readonly vcpus: number;
  /** From createWords. */
  readonly words: SharedArrayBuffer;
  /** Where the guest's memory is in this process. */
  readonly memory: { readonly address: bigint; readonly bytes: number };
  readonly hostLine: HostLine;
  readonly kick: readonly KickTarget[];
}

/** Takes the clock's MSRs away from KVM, for a VM whose vCPUs are all made and run on `threads`. */
export function takeClock(vm: Vm, threads: readonly VcpuThread[], flavour: FlavourName | Flavour): ClockServiceData {
  const { vcpus, memory, kvm } = vm;
  vm.takeMsrs(CLOCK_MSRS);
  return {
    flavour,
    vcpus: vcpus.length,
    words: createWords(vcpus.length),
    memory: { address: memory.address, bytes: memory.bytes },
    hostLine: hostLine(kvm.sys, BigInt(vcpus[0]!.tscKhz()) * 1000n),
    kick: vcpus.map((vcpu, i) => threads[i]!.kickTarget(vcpu)),
  };
}

/** The clock of a VM that has just been made, for the thread that owns the VM. */
export function startClock(sys: Sys, data: ClockServiceData): KvmHypervisor {
  return createKvm(optionsOf(sys, data));
}

/** The clock in a vCPU's own thread. */
export function clockService(sys: Sys, data: ClockServiceData, vcpu: number): VcpuService {
  const hypervisor = attachKvm(optionsOf(sys, data));
  const words = new Int32Array(data.words);
  const requests = wordIndex(vcpuWord(vcpu, VCPU_WORDS.requests));
  return {
    enter: () => {
      if (hypervisor.tryEnter(vcpu)) return true;
      Atomics.wait(words, requests, REQUEST.MCLOCK_INPROGRESS, LOOK_AGAIN_MS); // held out by an update
      return false;
    },
    leave: () => hypervisor.leave(vcpu),
    handle: (exit, run) => {
      if (exit.reason === 'wrmsr') {
        const outcome = hypervisor.wrmsr(vcpu, exit.index, exit.data);
        completeMsr(run, exit.data, outcome !== 'done');
        return true;
      }
      if (exit.reason === 'rdmsr') {
        const value = hypervisor.rdmsr(vcpu, exit.index);
        completeMsr(run, value ?? 0n, value === undefined);
        return true;
      }
      return false;
    },
  };
}

/** The place of one of the hypervisor's words in an Int32Array over them. */
function wordIndex(address: number): number {
  return (address - HYPERVISOR_WORDS) / 4;
}

function optionsOf(sys: Sys, data: ClockServiceData): KvmOptions {
  const clock = hostClock(sys, data.hostLine);
  const { words, vcpus, flavour } = data;
  const memory = sharedMemory({
    memory: sys.view(data.memory.address, data.memory.bytes),
    hostClock: clock,
    words,
    kick: kicker(sys, data),
  });
  return { memory, vcpus, hostClock: clock, flavour };
}

/** Nothing where the vCPU is out: it will look at its requests before it enters. */
function kicker(sys: Sys, data: ClockServiceData): (vcpu: number) => void {
  const words = new Int32Array(data.words);
  const targets = data.kick.map(({ control, runAddress, runBytes }) => ({
    control: new Int32Array(control),
    run: new Uint8Array(sys.view(runAddress, runBytes)),
  }));
  return (vcpu) => {
    const target = targets[vcpu];
    const mode = Atomics.load(words, wordIndex(vcpuWord(vcpu, VCPU_WORDS.mode)));
    if (target !== undefined && mode === IN_GUEST_MODE) kickThread(sys, process.pid, target.control, target.run);
  };
}
