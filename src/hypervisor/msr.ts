/**
 * The MSRs by which a guest asks for its clock, as one who serves a vCPU's exits needs them: `done` goes on behind the
 * instruction, `refused` injects #GP, `unknown` is somebody else's register.
 *
 * By the time the WRMSR of the system-time MSR retires the record is valid: the write asks for it, and the run loop serves
 * what is asked before the vCPU enters again.
 */
import { KVM_FEATURE_CLOCKSOURCE, KVM_FEATURE_CLOCKSOURCE2 } from '../abi/cpuid.ts';
import {
  HV_X64_MSR_REFERENCE_TSC,
  HV_X64_MSR_TIME_REF_COUNT,
  HYPERV_TSC_PAGE_BYTES,
  HYPERV_UNIT_NS,
} from '../abi/hyperv.ts';
import {
  MSR_IA32_TSC,
  MSR_IA32_TSC_ADJUST,
  MSR_KVM_SYSTEM_TIME,
  MSR_KVM_SYSTEM_TIME_NEW,
  MSR_KVM_WALL_CLOCK,
  MSR_KVM_WALL_CLOCK_NEW,
} from '../abi/msr.ts';
import { PVTI_BYTES } from '../abi/pvti.ts';
import { WALL_CLOCK_BYTES } from '../abi/wall-clock.ts';
import { vmClockNs, wallEpochNs } from './clock-ioctl.ts';
import { HYPERVISOR_WORDS } from './cpu.ts';
import type { AddressProblem, AddressReport } from './events.ts';
import { acquire, release } from './lock.ts';
import { addressOf, isKept } from './record.ts';
import { REQUEST } from './request-bits.ts';
import { request } from './requests.ts';
import { adjustTsc, readTsc, writeTsc } from './tsc.ts';
import { type KvmVm, underLock } from './vm.ts';
import { publishWallClock } from './wall-clock.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from './words.ts';

/** `done`: go on behind the instruction; `refused`: inject #GP; `unknown`: somebody else's register. */
export type MsrOutcome = 'done' | 'refused' | 'unknown';

/** Who writes: the guest by WRMSR, or the VMM (KVM_SET_MSRS), whose writes are a restore's. */
export type MsrWriter = 'guest' | 'host';

/** `value`: u64. To be called by the vCPU's thread, out of the guest. */
export function writeMsr(vm: KvmVm, vcpu: number, msr: number, value: bigint, writer: MsrWriter): MsrOutcome {
  switch (msr) {
    case MSR_KVM_SYSTEM_TIME:
    case MSR_KVM_SYSTEM_TIME_NEW:
      return offers(vm, msr) ? writeSystemTime(vm, vcpu, msr, value, writer) : 'refused';
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_WALL_CLOCK_NEW:
      return offers(vm, msr) ? writeWallClock(vm, vcpu, msr, value) : 'refused';
    case MSR_IA32_TSC:
      writeTsc(vm, vcpu, value, writer);
      return 'done';
    case MSR_IA32_TSC_ADJUST:
      writeTscAdjust(vm, vcpu, value, writer);
      return 'done';
    case HV_X64_MSR_REFERENCE_TSC:
      return vm.setup.hypervPage === true ? writeReferenceTsc(vm, vcpu, value) : 'unknown';
    default:
      return 'unknown';
  }
}

/** The value that RDMSR gives; undefined where the register is not one of these, or not offered. */
export function readMsr(vm: KvmVm, vcpu: number, msr: number): bigint | undefined {
  const { cpu } = vm;
  const hyperv = vm.setup.hypervPage === true;
  switch (msr) {
    case MSR_KVM_SYSTEM_TIME:
    case MSR_KVM_SYSTEM_TIME_NEW:
      return offers(vm, msr) ? cpu.load64(vcpuWord(vcpu, VCPU_WORDS.systemTimeMsr)) : undefined;
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_WALL_CLOCK_NEW:
      return offers(vm, msr) ? cpu.load64(vmWord(VM_WORDS.wallClockMsr)) : undefined;
    case MSR_IA32_TSC:
      return readTsc(vm, vcpu);
    case MSR_IA32_TSC_ADJUST:
      return cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscAdjust));
    case HV_X64_MSR_REFERENCE_TSC:
      return hyperv ? cpu.load64(vmWord(VM_WORDS.hypervPage)) : undefined;
    case HV_X64_MSR_TIME_REF_COUNT:
      return hyperv ? vmClockNs(vm) / BigInt(HYPERV_UNIT_NS) : undefined;
    default:
      return undefined;
  }
}

/** The feature leaf offers the old pair of registers and the new pair each by a bit of its own. */
function offers(vm: KvmVm, msr: number): boolean {
  const old = isOld(msr);
  return (vm.features & (1 << (old ? KVM_FEATURE_CLOCKSOURCE : KVM_FEATURE_CLOCKSOURCE2))) !== 0;
}

function isOld(msr: number): boolean {
  return msr === MSR_KVM_SYSTEM_TIME || msr === MSR_KVM_WALL_CLOCK;
}

/** Keeps `vcpu`'s record where `value` says, whichever of the two numbers it was given by. */
export function writeSystemTime(vm: KvmVm, vcpu: number, msr: number, value: bigint, writer: MsrWriter): MsrOutcome {
  const { cpu } = vm;
  const kept = isKept(value);
  const asked = { vcpu, msr, value, address: addressOf(value) };
  const outcome = kept ? checkAddress(vm, asked, PVTI_BYTES, vm.flavour.straddlingRecord) : 'written';
  if (outcome === 'refused') return 'refused';
  // KVM's cache turns such an address down before it lets go of the one that it has: the record stays where it was.
  const stays = kept && outcome === 'dropped' && problemOf(vm, addressOf(value), PVTI_BYTES) === 'crosses a page';
  if (vcpu === 0 && writer === 'guest') noteOldMsr(vm, isOld(msr));
  const lock = vcpuWord(vcpu, VCPU_WORDS.recordLock); // an updater may be writing the record that is given up
  acquire(cpu, lock);
  cpu.store64(vcpuWord(vcpu, VCPU_WORDS.systemTimeMsr), value);
  if (!stays) cpu.store64(vcpuWord(vcpu, VCPU_WORDS.record), kept && outcome === 'written' ? value : 0n);
  release(cpu, lock);
  request(cpu, vcpu, REQUEST.GLOBAL_CLOCK_UPDATE, false);
  return 'done';
}

/** Guests of 2006 use the old MSR and break with the stable bit. */
function noteOldMsr(vm: KvmVm, old: boolean): void {
  const { cpu } = vm;
  const word = vmWord(VM_WORDS.bootVcpuRunsOldKvmclock);
  if (cpu.load32(word) === (old ? 1 : 0)) return;
  cpu.store32(word, old ? 1 : 0);
  if (vm.flavour.oldMsrEndsStability) request(cpu, 0, REQUEST.MASTERCLOCK_UPDATE, false);
}

/** The wall clock is written now and never again, until the guest asks again. Address 0 asks for nothing. */
function writeWallClock(vm: KvmVm, vcpu: number, msr: number, value: bigint): MsrOutcome {
  const address = Number(value);
  const asked = { vcpu, msr, value, address };
  const straddling = vm.flavour.straddlingRecord === 'refused' ? 'refused' : 'written'; // KVM writes it without the cache
  const outcome = value === 0n ? 'dropped' : checkAddress(vm, asked, WALL_CLOCK_BYTES, straddling);
  if (outcome === 'refused') return 'refused';
  vm.cpu.store64(vmWord(VM_WORDS.wallClockMsr), value);
  if (outcome === 'written') underLock(vm, () => publishWallClock(vm.cpu, address, wallEpochNs(vm))); // one writer at a time
  return 'done';
}

function writeTscAdjust(vm: KvmVm, vcpu: number, value: bigint, writer: MsrWriter): void {
  const { cpu } = vm;
  const word = vcpuWord(vcpu, VCPU_WORDS.tscAdjust);
  if (writer === 'host') {
    cpu.store64(word, value);
    return;
  }
  adjustTsc(vm, vcpu, BigInt.asUintN(64, value - cpu.load64(word)), vm.flavour.guestTscWrite === 'tracked');
  request(cpu, vcpu, REQUEST.CLOCK_UPDATE, false);
}

function writeReferenceTsc(vm: KvmVm, vcpu: number, value: bigint): MsrOutcome {
  const kept = isKept(value);
  const page = Number(value) - (Number(value) % HYPERV_TSC_PAGE_BYTES);
  const problem = problemOf(vm, page, HYPERV_TSC_PAGE_BYTES);
  if (kept && problem !== undefined) {
    const asked = { vcpu, msr: HV_X64_MSR_REFERENCE_TSC, value, address: page };
    vm.events.badAddress({ ...asked, problem, outcome: 'refused' });
    return 'refused';
  }
  const lock = vcpuWord(0, VCPU_WORDS.recordLock); // the page is written with record 0
  acquire(vm.cpu, lock);
  vm.cpu.store64(vmWord(VM_WORDS.hypervPage), kept ? BigInt(page) | 1n : 0n);
  release(vm.cpu, lock);
  request(vm.cpu, 0, REQUEST.CLOCK_UPDATE, vcpu !== 0);
  return 'done';
}

const PAGE_BYTES = 4096;

/**
 * What becomes of a structure at that address; anything that is wrong with it is reported, whatever the flavour does.
 * `straddling`: what becomes of it across two pages.
 */
function checkAddress(
  vm: KvmVm,
  asked: Pick<AddressReport, 'vcpu' | 'msr' | 'value' | 'address'>,
  bytes: number,
  straddling: AddressReport['outcome'],
): AddressReport['outcome'] {
  const problem = problemOf(vm, asked.address, bytes);
  if (problem === undefined) return 'written';
  const kvm = problem === 'misaligned' ? 'written' : problem === 'no memory there' ? 'dropped' : straddling;
  const outcome = vm.flavour.straddlingRecord === 'refused' ? 'refused' : kvm;
  vm.events.badAddress({ ...asked, problem, outcome });
  return outcome;
}

/** What is wrong with `bytes` at `address` for a structure that both sides write; undefined where nothing is. */
export function problemOf(vm: KvmVm, address: number, bytes: number): AddressProblem | undefined {
  if (address + bytes > HYPERVISOR_WORDS || !vm.holds(address, bytes)) return 'no memory there';
  if ((address % PAGE_BYTES) + bytes > PAGE_BYTES) return 'crosses a page';
  return address % 4 === 0 ? undefined : 'misaligned';
}
