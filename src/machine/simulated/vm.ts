/**
 * One simulated VM: guest memory and the hypervisor's words in SharedArrayBuffers, which every thread of the machine opens
 * with the hypervisor's own functions.
 *
 *   guest memory   0x0000  the kernel's: at BASES_AT its page of bases, at LAST_VALUE_AT its clamp; the wall clock at WALL_CLOCK_AT
 *                  0x1000  the records, PVTI_SIZE apart, as Linux lays them out
 */
import { CLOCK_PAGE_BYTES } from '../../abi/clock-base.ts';
import { pvtiAddress } from '../../abi/pvti.ts';
import { WALL_CLOCK_BYTES } from '../../abi/wall-clock.ts';
import type { Flavour } from '../../hypervisor/flavours.ts';
import { attachKvm, createKvm, type KvmHypervisor, type KvmOptions } from '../../hypervisor/kvm.ts';
import type { MasterCopy } from '../../hypervisor/master-copy.ts';
import { createWords } from '../../hypervisor/shared-memory.ts';
import { simulatedClock } from './clock.ts';
import { simulatedHostCpu } from './host-cpu.ts';
import { emptyLines, type LineWords, noteLine } from './published-lines.ts';

const PAGE_BYTES = 4096;

/** Guest-physical addresses. */
export const BASES_AT = PAGE_BYTES / 2;
export const LAST_VALUE_AT = BASES_AT + CLOCK_PAGE_BYTES;
export const RECORDS_AT = PAGE_BYTES;
export const WALL_CLOCK_AT = PAGE_BYTES - ((WALL_CLOCK_BYTES + 7) & ~7);

/** Cycles by which a TSC is moved so that it matches no other. */
export const MISMATCH_CYCLES = 1_000_000n;

/** What the threads of one machine share; all of it goes through postMessage, and every array stands over shared memory. */
export interface SimulatedVm {
  readonly vcpus: number;
  /** The host's TSC, and so the guest's. */
  readonly tscHz: bigint;
  readonly flavour: Flavour;
  readonly memory: SharedArrayBuffer;
  readonly words: SharedArrayBuffer;
  /** By vCPU: not 0 = it is to leave the guest. */
  readonly kicks: Int32Array;
  /** By vCPU: 1 = its thread is to give it the TSC offset beside, enter, and put 0 here. */
  readonly offsetAsked: Int32Array;
  readonly offsets: BigUint64Array;
  /** What makes a vCPU's TSC of the host's, where all match: cycles, mod 2^64. */
  readonly matchingOffset: bigint;
  /** How often the VM-wide copy was written, mod 2^32. */
  readonly updates: Int32Array;
  /** The lines that were published. */
  readonly lines: LineWords;
}

export function createSimulatedVm(vcpus: number, tscHz: bigint, flavour: Flavour): SimulatedVm {
  const recordPages = Math.ceil(pvtiAddress(0, vcpus) / PAGE_BYTES);
  const vm = {
    vcpus,
    tscHz,
    flavour,
    memory: new SharedArrayBuffer(RECORDS_AT + recordPages * PAGE_BYTES),
    words: createWords(vcpus),
    kicks: new Int32Array(new SharedArrayBuffer(vcpus * 4)),
    offsetAsked: new Int32Array(new SharedArrayBuffer(vcpus * 4)),
    offsets: new BigUint64Array(new SharedArrayBuffer(vcpus * 8)),
    updates: new Int32Array(new SharedArrayBuffer(4)),
    lines: emptyLines(),
  };
  const hypervisor = createKvm(optionsOf(vm));
  return { ...vm, matchingOffset: hypervisor.tscOffset(0) };
}

/** The VM's hypervisor, as the calling thread uses it. */
export function openHypervisor(vm: SimulatedVm): KvmHypervisor {
  return attachKvm({ ...optionsOf(vm), events: { updating: (copy) => noteCopy(vm, copy) } });
}

/** Counts the update, and notes the line that all records will lie on; without one each vCPU's is its own. */
function noteCopy(vm: SimulatedVm, copy: MasterCopy): void {
  Atomics.add(vm.updates, 0, 1);
  if (!copy.useMasterClock) return;
  const tscTimestamp = BigInt.asUintN(64, copy.masterCycleNow + vm.matchingOffset);
  noteLine(vm.lines, tscTimestamp, BigInt.asUintN(64, copy.masterKernelNs + copy.kvmclockOffset));
}

/** Makes `vcpu` leave the guest soon. */
export function kick(vm: Pick<SimulatedVm, 'kicks'>, vcpu: number): void {
  Atomics.store(vm.kicks, vcpu, 1);
}

function optionsOf(vm: Omit<SimulatedVm, 'matchingOffset'>): KvmOptions {
  const hostClock = simulatedClock(vm.tscHz);
  const memory = simulatedHostCpu({
    memory: vm.memory,
    words: vm.words,
    hostClock,
    kick: (vcpu) => kick(vm, vcpu),
  });
  return { memory, vcpus: vm.vcpus, hostClock, flavour: vm.flavour };
}
