/**
 * The rate of a vCPU's TSC: the host's, or another that the processor scales to; or, where it cannot scale, a faster one
 * that is reached by catching up. Small differences are let pass: the guest then sees the host's rate.
 */

import { timeScale, tscToNs } from '../scale/time-scale.ts';
import { NSEC_PER_SEC } from '../scale/timespec.ts';
import { scaleTsc, TSC_RATIO_ONE } from '../scale/tsc-ratio.ts';
import { u64Of } from './arguments.ts';
import { guestTsc, mulOf, packScale, scaledTsc } from './guest-tsc.ts';
import { refreshedCopy } from './master-clock.ts';
import { REQUEST } from './request-bits.ts';
import { request, requestAll } from './requests.ts';
import { updateMasterClock } from './update.ts';
import { ClockError, hostTscHz, isCreated, type KvmVm, underLock } from './vm.ts';
import { TIME_SCALE_CATCH_UP, VCPU_WORDS, vcpuWord } from './words.ts';

/** Parts per million by which a rate may differ from the host's and still be left at the host's. */
export const TSC_TOLERANCE_PPM = 250n;

/** The largest ratio that a processor scales by, exclusive: 16 bits before the point. */
const MAX_RATIO = 1n << 64n;

/**
 * `vcpu`'s TSC is to count at `hz`. Its record follows. To be called by its thread, or while that is parked. Throws
 * ClockError EINVAL where the processor can reach that rate neither by scaling nor by catching up.
 */
export function setTscHz(vm: KvmVm, vcpu: number, hz: bigint): void {
  const plan = planRate(vm, vcpu, hz); // may throw: before the lock
  underLock(vm, () => {
    const { cpu, setup } = vm;
    const hostTsc = cpu.hostTsc();
    const tsc = guestTsc(cpu, setup, vcpu, hostTsc);
    storePlan(vm, vcpu, hz, plan);
    if (vm.flavour.rateChange === 'tsc-jumps') return;
    goOnFrom(vm, vcpu, tsc, hostTsc);
    request(cpu, vcpu, REQUEST.MASTERCLOCK_UPDATE | REQUEST.CLOCK_UPDATE, false);
  });
}

/** Whatever scales it now, `vcpu`'s TSC shows `tsc` when the host's shows `hostTsc`. */
function goOnFrom(vm: KvmVm, vcpu: number, tsc: bigint, hostTsc: bigint): void {
  const { cpu, setup } = vm;
  const offset = BigInt.asUintN(64, tsc - scaledTsc(cpu, setup, vcpu, hostTsc));
  cpu.store64(vcpuWord(vcpu, VCPU_WORDS.tscOffset), offset);
  cpu.store64(vcpuWord(vcpu, VCPU_WORDS.thisTscNs), cpu.hostNs());
  cpu.store64(vcpuWord(vcpu, VCPU_WORDS.thisTscWrite), tsc);
}

/** Throws ClockError EINVAL where `setTscHz` would; changes nothing. */
export function checkTscHz(vm: KvmVm, vcpu: number, hz: bigint): void {
  planRate(vm, vcpu, hz);
}

/** The same for a vCPU that is being made: its TSC is not set yet, and no record follows. */
export function initTscHz(vm: KvmVm, vcpu: number, hz: bigint): void {
  storePlan(vm, vcpu, hz, planRate(vm, vcpu, hz));
}

function storePlan(vm: KvmVm, vcpu: number, hz: bigint, plan: RatePlan): void {
  const { cpu } = vm;
  storeRate(vm, vcpu, hz);
  cpu.store64(vcpuWord(vcpu, VCPU_WORDS.tscRatio), plan.ratio);
  cpu.store32(vcpuWord(vcpu, VCPU_WORDS.alwaysCatchUp), plan.catchUp ? 1 : 0);
  cpu.store64(vcpuWord(vcpu, VCPU_WORDS.timeScale), timeScaleOf(vm, hostTscHz(vm), plan));
}

/**
 * The host's TSC rate has changed, or has become known: every vCPU's pair follows, and its record. Throws ClockError EINVAL
 * where the rate that a vCPU was given before the host's was known cannot be had on this host; nothing has changed then.
 */
export function hostRateChanged(vm: KvmVm): void {
  const { cpu, setup } = vm;
  u64Of("the host clock's tscHz()", vm.hostClock.tscHz());
  const plans = plansByHostRate(vm); // may throw: before the lock
  if (setup.policy.base === 'kvm') {
    underLock(vm, () => followHostRate(vm, plans));
    requestAll(cpu, setup, REQUEST.CLOCK_UPDATE, true);
    return;
  }
  const next = refreshedCopy(vm);
  updateMasterClock(cpu, setup, () => {
    followHostRate(vm, plans); // no guest code runs: nobody sees a record of the old line with the new pair
    return next(cpu);
  });
}

/** By vCPU: how it is scaled stays as it is, but where that could not be told as long as the host's rate was not known. */
function plansByHostRate(vm: KvmVm): Map<number, RatePlan> {
  const { cpu } = vm;
  const plans = new Map<number, RatePlan>();
  for (let vcpu = 0; vcpu < vm.setup.vcpus; vcpu++) {
    if (!isCreated(vm, vcpu)) continue;
    const hz = cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscHz));
    const wasKnown = mulOf(cpu.load64(vcpuWord(vcpu, VCPU_WORDS.timeScale))) !== 0;
    const ratio = cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscRatio));
    const catchUp = cpu.load32(vcpuWord(vcpu, VCPU_WORDS.alwaysCatchUp)) === 1;
    const stays = wasKnown || hz === 0n || hostTscHz(vm) === 0n;
    plans.set(vcpu, stays ? { ratio, catchUp } : planRate(vm, vcpu, hz));
  }
  return plans;
}

function followHostRate(vm: KvmVm, plans: ReadonlyMap<number, RatePlan>): void {
  const { cpu, setup } = vm;
  const hostTsc = cpu.hostTsc();
  for (const [vcpu, plan] of plans) {
    const hz = cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscHz));
    const tsc = guestTsc(cpu, setup, vcpu, hostTsc);
    storePlan(vm, vcpu, hz === 0n ? hostTscHz(vm) : hz, plan);
    if (guestTsc(cpu, setup, vcpu, hostTsc) !== tsc) goOnFrom(vm, vcpu, tsc, hostTsc);
  }
}

/** The rate that `vcpu`'s TSC is to have, and the pair from ns to its cycles. */
function storeRate(vm: KvmVm, vcpu: number, hz: bigint): void {
  vm.cpu.store64(vcpuWord(vcpu, VCPU_WORDS.tscHz), hz);
  const scale = hz === 0n ? 0n : packScale(timeScale(hz, NSEC_PER_SEC));
  vm.cpu.store64(vcpuWord(vcpu, VCPU_WORDS.virtualScale), scale);
}

interface RatePlan {
  readonly ratio: bigint;
  readonly catchUp: boolean;
}

function planRate(vm: KvmVm, vcpu: number, hz: bigint): RatePlan {
  if (typeof hz !== 'bigint' || hz < 1n || hz >= 1n << 64n) {
    throw new ClockError('EINVAL', `TSC rate of vCPU ${vcpu}: ${hz} Hz is not a rate`);
  }
  const hostHz = hostTscHz(vm);
  const exact = { ratio: TSC_RATIO_ONE, catchUp: false };
  if (hostHz === 0n) return exact;
  const tolerance = vm.setup.tscScaling && vm.flavour.rate === 'hz' ? 0n : (hostHz * TSC_TOLERANCE_PPM) / 1_000_000n;
  if (hz >= hostHz - tolerance && hz <= hostHz + tolerance) return exact;
  if (vm.setup.tscScaling) {
    const ratio = (hz * TSC_RATIO_ONE) / hostHz;
    if (ratio > 0n && ratio < MAX_RATIO) return { ratio, catchUp: false };
    throw new ClockError('EINVAL', `TSC rate of vCPU ${vcpu}: no processor scales ${hostHz} Hz to ${hz} Hz`);
  }
  if (hz > hostHz) return { ratio: TSC_RATIO_ONE, catchUp: true };
  throw new ClockError(
    'EINVAL',
    `TSC rate of vCPU ${vcpu}: ${hz} Hz is below the host's ${hostHz} Hz, which takes a processor that scales TSCs`,
  );
}

/** The pair from cycles as the guest really sees them to ns, in its word; mul 0 while the host's rate is not known. */
function timeScaleOf(vm: KvmVm, hostHz: bigint, plan: RatePlan): bigint {
  if (hostHz === 0n) return 0n;
  const hz = vm.flavour.rate === 'khz' ? scaleTsc(hostHz / 1000n, plan.ratio) * 1000n : scaledHz(hostHz, plan.ratio);
  return packScale(tscToNs(hz === 0n ? 1000n : hz)) | (plan.catchUp ? TIME_SCALE_CATCH_UP : 0n);
}

/** Rounded to the nearest: the ratio was cut off, and a hertz too few would be a nanosecond every few seconds. */
function scaledHz(hostHz: bigint, ratio: bigint): bigint {
  return (hostHz * ratio + TSC_RATIO_ONE / 2n) / TSC_RATIO_ONE;
}
