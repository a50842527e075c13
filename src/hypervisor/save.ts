/**
 * A VM's clock as it is saved and restored, with its TSCs, in plain JSON (u64 as decimal strings).
 *
 * What goes wrong when a VMM does it by hand, and how it is met here: vCPUs run before the clock is set (none may run before
 * `restoreClock` returns); the TSCs come back at different instants and differ (all are taken, and set, at one); the clock
 * jumps by the time away although nobody wanted that (it is a choice, named at the call); the guest's watchdogs are not
 * told (each record says that its vCPU was stopped).
 */
import { HV_X64_MSR_REFERENCE_TSC, HYPERV_TSC_PAGE_BYTES } from '../abi/hyperv.ts';
import { MSR_IA32_TSC_ADJUST, MSR_KVM_SYSTEM_TIME_NEW } from '../abi/msr.ts';
import { PVTI_BYTES } from '../abi/pvti.ts';
import { checkLine, followLine } from './clock-guest.ts';
import { tellStopped } from './clock-ioctl.ts';
import { guestTsc, mulOf, scaledTsc, shiftOf } from './guest-tsc.ts';
import { clockAt } from './master-clock.ts';
import { loadMasterCopy } from './master-copy.ts';
import { problemOf, writeMsr, writeSystemTime } from './msr.ts';
import { addressOf, isKept } from './record.ts';
import { cyclesIn, writeTscOffset } from './tsc.ts';
import { checkTscHz, setTscHz } from './tsc-rate.ts';
import { ClockError, isCreated, type KvmVm, underLock } from './vm.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from './words.ts';

export interface SavedVcpu {
  /** Cycles, at the instant of the save. */
  readonly tsc: string;
  readonly tscAdjust: string;
  readonly tscHz: string;
  readonly systemTimeMsr: string;
}

/** A VM's clock with its TSCs, as plain JSON: u64 as decimal strings. */
export interface SavedClock {
  readonly format: 'kvmclock-1';
  /** The VM's clock and the host's time of day at the instant of the save, ns. */
  readonly clockNs: string;
  readonly realtimeNs: string;
  /** The pair that the clock went on by. */
  readonly mul: number;
  readonly shift: number;
  readonly wallClockMsr: string;
  /** The Hyper-V page: its address, bit 0 = kept. */
  readonly hypervPage: string;
  readonly bootVcpuRunsOldKvmclock: boolean;
  readonly vcpus: readonly SavedVcpu[];
}

/** Takes the clock and all TSCs at one instant. No vCPU may be in the guest. Throws ClockError EINVAL while no TSC rate is known. */
export function saveClock(vm: KvmVm): SavedClock {
  if (mulOf(vm.cpu.load64(vcpuWord(0, VCPU_WORDS.timeScale))) === 0) {
    throw new ClockError('EINVAL', 'save: the TSC rate is not known yet, so there is no clock to save');
  }
  return underLock(vm, () => clockToSave(vm));
}

function clockToSave(vm: KvmVm): SavedClock {
  const { cpu, setup } = vm;
  const sample = vm.hostClock.sample();
  const hostTsc = sample?.tsc ?? cpu.hostTsc();
  const copy = loadMasterCopy(cpu);
  const clockNs = copy.useMasterClock
    ? clockAt(cpu, setup, copy, hostTsc)
    : BigInt.asUintN(64, (sample?.ns ?? cpu.hostNs()) + copy.kvmclockOffset);
  const timeScale = cpu.load64(vcpuWord(0, VCPU_WORDS.timeScale));
  const vcpus: SavedVcpu[] = [];
  for (let vcpu = 0; vcpu < setup.vcpus && isCreated(vm, vcpu); vcpu++) vcpus.push(saveVcpu(vm, vcpu, hostTsc));
  return {
    format: 'kvmclock-1',
    clockNs: clockNs.toString(),
    realtimeNs: (sample?.realtimeNs ?? vm.hostClock.realtimeNs()).toString(),
    mul: mulOf(timeScale),
    shift: shiftOf(timeScale),
    wallClockMsr: cpu.load64(vmWord(VM_WORDS.wallClockMsr)).toString(),
    hypervPage: cpu.load64(vmWord(VM_WORDS.hypervPage)).toString(),
    bootVcpuRunsOldKvmclock: cpu.load32(vmWord(VM_WORDS.bootVcpuRunsOldKvmclock)) === 1,
    vcpus,
  };
}

function saveVcpu(vm: KvmVm, vcpu: number, hostTsc: bigint): SavedVcpu {
  const { cpu } = vm;
  return {
    tsc: guestTsc(cpu, vm.setup, vcpu, hostTsc).toString(),
    tscAdjust: cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscAdjust)).toString(),
    tscHz: cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscHz)).toString(),
    systemTimeMsr: cpu.load64(vcpuWord(vcpu, VCPU_WORDS.systemTimeMsr)).toString(),
  };
}

/** `stopped`: clock and TSCs go on from where they were; `passed`: as if the VM had run on, by the host's time of day. */
export type TimeAway = 'stopped' | 'passed';

/**
 * Into a fresh VM with as many vCPUs, its guest memory restored, none of them in the guest. Throws ClockError EINVAL where this host cannot
 * give the guest its TSC rate, RangeError where `saved` is of another shape or names memory that is not there; the VM is then as it was.
 */
export function restoreClock(vm: KvmVm, saved: SavedClock, away: TimeAway): void {
  const { cpu } = vm;
  checkSaved(vm, saved);
  if (away !== 'stopped' && away !== 'passed') {
    throw new RangeError(`restore: the time away is 'stopped' or 'passed', not ${JSON.stringify(away)}`);
  }
  const hostTsc = vm.hostClock.sample()?.tsc ?? cpu.hostTsc();
  const sinceNs = vm.hostClock.realtimeNs() - BigInt(saved.realtimeNs);
  const awayNs = away === 'passed' && sinceNs > 0n ? sinceNs : 0n;
  saved.vcpus.forEach((state, vcpu) => {
    restoreVcpu(vm, vcpu, state, hostTsc, awayNs);
  });
  cpu.store64(vmWord(VM_WORDS.wallClockMsr), BigInt(saved.wallClockMsr));
  if (saved.hypervPage !== '0') writeMsr(vm, 0, HV_X64_MSR_REFERENCE_TSC, BigInt(saved.hypervPage), 'host');
  cpu.store32(vmWord(VM_WORDS.bootVcpuRunsOldKvmclock), saved.bootVcpuRunsOldKvmclock ? 1 : 0);
  followLine(vm, 0, {
    tscTimestamp: guestTsc(cpu, vm.setup, 0, hostTsc),
    systemTime: BigInt(saved.clockNs) + awayNs,
    tscToSystemMul: saved.mul,
    tscShift: saved.shift,
  });
  for (let vcpu = 0; vcpu < saved.vcpus.length; vcpu++) {
    if (isKept(cpu.load64(vcpuWord(vcpu, VCPU_WORDS.record)))) tellStopped(vm, vcpu);
  }
}

/** All vCPUs' TSCs are set at the one instant `hostTsc`, so those that were equal get equal offsets. */
function restoreVcpu(vm: KvmVm, vcpu: number, state: SavedVcpu, hostTsc: bigint, awayNs: bigint): void {
  setTscHz(vm, vcpu, BigInt(state.tscHz));
  const tsc = BigInt(state.tsc) + cyclesIn(vm, vcpu, awayNs);
  writeTscOffset(vm, vcpu, BigInt.asUintN(64, tsc - scaledTsc(vm.cpu, vm.setup, vcpu, hostTsc)));
  writeMsr(vm, vcpu, MSR_IA32_TSC_ADJUST, BigInt(state.tscAdjust), 'host');
  writeSystemTime(vm, vcpu, MSR_KVM_SYSTEM_TIME_NEW, BigInt(state.systemTimeMsr), 'host');
}

/** Throws where any part of `saved`, which may be JSON from anywhere, cannot be had here. */
function checkSaved(vm: KvmVm, saved: SavedClock): void {
  if (saved?.format !== 'kvmclock-1') {
    throw new RangeError(`saved clock of format ${JSON.stringify(saved?.format)}: only "kvmclock-1" is known`);
  }
  const { clockNs, realtimeNs, wallClockMsr, hypervPage, vcpus } = saved;
  const online = vm.cpu.load32(vmWord(VM_WORDS.onlineVcpus));
  if (!Array.isArray(vcpus) || vcpus.length === 0 || vcpus.length > online) {
    throw new RangeError(`saved clock of ${vcpus?.length} vCPUs: this VM has ${online}`);
  }
  checkU64s({ clockNs, realtimeNs, wallClockMsr, hypervPage });
  checkLine({ tscToSystemMul: saved.mul, tscShift: saved.shift });
  saved.vcpus.forEach((state, vcpu) => {
    checkSavedVcpu(vm, state, vcpu);
  });
  const page = BigInt(hypervPage);
  const canKeep = vm.setup.hypervPage === true && problemOf(vm, addressOf(page), HYPERV_TSC_PAGE_BYTES) === undefined;
  if (hypervPage !== '0' && !canKeep) {
    throw new RangeError(`saved clock: this VM cannot keep the Hyper-V page 0x${page.toString(16)}`);
  }
}

function checkSavedVcpu(vm: KvmVm, state: SavedVcpu, vcpu: number): void {
  const { tsc, tscAdjust, tscHz, systemTimeMsr } = state ?? {};
  checkU64s({ tsc, tscAdjust, tscHz, systemTimeMsr });
  checkTscHz(vm, vcpu, BigInt(tscHz));
  const record = BigInt(systemTimeMsr);
  const refuses = vm.flavour.straddlingRecord === 'refused' && isKept(record);
  if (refuses && problemOf(vm, addressOf(record), PVTI_BYTES) !== undefined) {
    throw new RangeError(`saved clock: the record of vCPU ${vcpu} cannot be at 0x${record.toString(16)} here`);
  }
}

function checkU64s(fields: Record<string, string | undefined>): void {
  for (const [name, text] of Object.entries(fields)) {
    if (typeof text === 'string' && /^\d{1,20}$/.test(text) && BigInt(text) < 1n << 64n) continue;
    throw new RangeError(`saved clock: ${name} is ${JSON.stringify(text)}, not a number from 0 to 2^64-1`);
  }
}
