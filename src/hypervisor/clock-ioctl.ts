/**
 * The VM's clock as its owner reads and sets it: KVM_GET_CLOCK, KVM_SET_CLOCK, KVM_KVMCLOCK_CTRL, and the epoch of the
 * wall clock.
 */
import {
  KVM_CLOCK_HOST_TSC,
  KVM_CLOCK_REALTIME,
  KVM_CLOCK_TSC_STABLE,
  KVM_CLOCK_VALID_FLAGS,
  type KvmClockData,
} from '../abi/kvm-clock-data.ts';
import { scaleDelta } from '../scale/scale-delta.ts';
import { tscToNs } from '../scale/time-scale.ts';
import { u64Of } from './arguments.ts';
import type { HostSample } from './host-clock.ts';
import { clockAt, forgetOwnLines, nextCopy } from './master-clock.ts';
import { loadMasterCopy, type MasterCopy } from './master-copy.ts';
import { isKept, writeRecord } from './record.ts';
import { IN_GUEST_MODE, REQUEST } from './request-bits.ts';
import { request } from './requests.ts';
import { updateMasterClock } from './update.ts';
import { ClockError, hostTscHz, type KvmVm, underLock } from './vm.ts';
import { VCPU_WORDS, vcpuWord } from './words.ts';

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** KVM_GET_CLOCK: the VM's clock in ns, and what is known of the instant it was read at. */
export function getClock(vm: KvmVm): KvmClockData {
  return underLock(vm, () => clockNow(vm)); // copy and pair of one update
}

function clockNow(vm: KvmVm): KvmClockData {
  const copy = loadMasterCopy(vm.cpu);
  const sample = vm.hostClock.sample();
  if (!goesByCopy(vm, copy)) {
    return { clock: u64(vm.cpu.hostNs() + copy.kvmclockOffset), flags: 0, pad0: 0, realtime: 0n, hostTsc: 0n };
  }
  if (sample === undefined) {
    const clock = stableClockAt(vm, copy, vm.cpu.hostTsc());
    return { clock, flags: KVM_CLOCK_TSC_STABLE, pad0: 0, realtime: 0n, hostTsc: 0n };
  }
  return {
    clock: stableClockAt(vm, copy, sample.tsc),
    flags: KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC,
    pad0: 0,
    realtime: sample.realtimeNs,
    hostTsc: sample.tsc,
  };
}

/** The VM's clock now, ns. */
export function vmClockNs(vm: KvmVm): bigint {
  return getClock(vm).clock;
}

/** Whether the clock is asked of the copy's line. KVM's line has no end that could be computed while the host's rate is not known. */
function goesByCopy(vm: KvmVm, copy: MasterCopy): boolean {
  const { clockIoctl } = vm.flavour;
  if (clockIoctl === '2015' || !copy.useMasterClock) return false;
  return clockIoctl === 'guest-line' || hostTscHz(vm) > 0n;
}

/** KVM goes on from the copy by the host's rate, which is not the guest's where its TSC is scaled. */
function stableClockAt(vm: KvmVm, copy: MasterCopy, hostTsc: bigint): bigint {
  if (vm.flavour.clockIoctl === 'guest-line') return clockAt(vm.cpu, vm.setup, copy, hostTsc);
  const { mul, shift } = tscToNs(hostTscHz(vm));
  return u64(copy.masterKernelNs + copy.kvmclockOffset + scaleDelta(u64(hostTsc - copy.masterCycleNow), mul, shift));
}

/**
 * KVM_SET_CLOCK: from now on the clock goes on from `data.clock`; with KVM_CLOCK_REALTIME, from that and the time that has
 * passed since `data.realtime`, if any. Throws ClockError EINVAL on flags that are not known, RangeError on what is no u64.
 */
export function setClock(vm: KvmVm, data: Pick<KvmClockData, 'clock' | 'flags'> & Partial<KvmClockData>): void {
  const valid = vm.flavour.clockIoctl === '2015' ? 0 : KVM_CLOCK_VALID_FLAGS;
  const { flags } = data;
  if (!Number.isInteger(flags) || flags < 0 || flags > 0xffffffff || (flags & ~valid) !== 0) {
    throw new ClockError('EINVAL', `SET_CLOCK with flags ${flags}: only the bits of ${valid} are known`);
  }
  u64Of('SET_CLOCK, clock', data.clock);
  const realtime = (flags & KVM_CLOCK_REALTIME) === 0 ? undefined : u64Of('SET_CLOCK, realtime', data.realtime);
  const beforeNs = vm.cpu.hostNs();
  updateMasterClock(vm.cpu, vm.setup, () => {
    if (vm.setup.policy.base === 'continuous') forgetOwnLines(vm);
    return nextCopy(vm, (fresh, _old, _hostTsc, realtimeNs) => {
      if (vm.flavour.clockIoctl === '2015') return data.clock - beforeNs;
      return data.clock + passedSince(realtime, realtimeNs) - fresh.masterKernelNs;
    });
  });
}

function passedSince(realtime: bigint | undefined, realtimeNs: () => bigint): bigint {
  if (realtime === undefined) return 0n;
  const passedNs = realtimeNs() - realtime;
  return passedNs > 0n ? passedNs : 0n; // forward only
}

/**
 * KVM_KVMCLOCK_CTRL: the guest shall learn from `vcpu`'s record that it was stopped. KVM shows it at the vCPU's next run, so
 * that a snapshot taken now does not have it; ours at once, unless the vCPU is in the guest. To be called by the vCPU's
 * thread, or while that is parked. Throws ClockError EINVAL where the guest keeps no record there.
 */
export function kvmclockCtrl(vm: KvmVm, vcpu: number): void {
  if (!isKept(vm.cpu.load64(vcpuWord(vcpu, VCPU_WORDS.record)))) {
    throw new ClockError('EINVAL', `KVMCLOCK_CTRL on vCPU ${vcpu}: its guest keeps no record`);
  }
  tellStopped(vm, vcpu);
}

/** The same where it is known that there is a record. */
export function tellStopped(vm: KvmVm, vcpu: number): void {
  const { cpu, setup } = vm;
  const out = cpu.load32(vcpuWord(vcpu, VCPU_WORDS.mode)) !== IN_GUEST_MODE;
  if (vm.flavour.ctrl === 'at-once' && out && writeRecord(cpu, setup, vcpu, true) === 'written') return;
  request(cpu, vcpu, REQUEST.CLOCK_UPDATE | REQUEST.GUEST_STOPPED, false);
}

/** ns since 1970 at which the VM's clock was zero: what its wall clock says. 0 where that was before 1970. To be called under the lock. */
export function wallEpochNs(vm: KvmVm): bigint {
  const copy = loadMasterCopy(vm.cpu);
  const sample = vm.hostClock.sample();
  const epochNs = sample === undefined ? twoReadings(vm, copy) : oneInstant(vm, copy, sample);
  return epochNs > 0n ? epochNs : 0n;
}

function oneInstant(vm: KvmVm, copy: MasterCopy, sample: HostSample): bigint {
  const clock = goesByCopy(vm, copy) ? stableClockAt(vm, copy, sample.tsc) : u64(sample.ns + copy.kvmclockOffset);
  return sample.realtimeNs - clock;
}

function twoReadings(vm: KvmVm, copy: MasterCopy): bigint {
  return vm.hostClock.realtimeNs() - u64(vm.cpu.hostNs() + copy.kvmclockOffset);
}
