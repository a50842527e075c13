/**
 * The master clock: whether the VM may have one line for all its vCPUs, and where the next line begins.
 *
 * It may while the host keeps time by its TSC, all vCPUs' TSCs match, the host's TSC has not run back, and vCPU 0 does not
 * use the old MSR. Base `kvm`: the line begins at a fresh sample. Base `continuous`: it begins where the old one stands at
 * the host TSC of the take-over, which is taken after the last vCPU has left the guest: every TSC that a guest has read so
 * far is lower, every one that it will read is higher, so nobody sees it step back. Where the host's TSC itself has run
 * back behind the line's begin, there is nothing to meet: the VM goes on by the host's clock.
 */
import { scaleDelta } from '../scale/scale-delta.ts';
import { scaleTsc } from '../scale/tsc-ratio.ts';
import type { HostCpu } from './cpu.ts';
import type { Stability } from './events.ts';
import { mulOf, noteLine, scaledTsc, shiftOf } from './guest-tsc.ts';
import type { HostSample } from './host-clock.ts';
import { loadMasterCopy, type MasterCopy } from './master-copy.ts';
import type { VmSetup } from './policy.ts';
import type { NextCopy } from './update.ts';
import { isCreated, type KvmVm } from './vm.ts';
import { TIME_SCALE_CATCH_UP, VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from './words.ts';

/** Whether the VM may have a master clock now, given the host's sample. */
export function judge(vm: KvmVm, sample: HostSample | undefined): Stability {
  const { cpu, flavour } = vm;
  if (sample === undefined) return 'the host does not keep time by its TSC';
  if (vm.host.backwardsTscObserved || cpu.load32(vmWord(VM_WORDS.backwardsTscObserved)) === 1)
    return 'the host TSC ran back';
  const old = flavour.oldMsrEndsStability && cpu.load32(vmWord(VM_WORDS.bootVcpuRunsOldKvmclock)) === 1;
  if (old) return 'vCPU 0 uses the old MSR';
  return flavour.tscKnown === 'counts' ? judgeCount(cpu) : judgeTscs(vm);
}

/** KVM: as many vCPUs have joined the generation as there are beside its first. */
function judgeCount(cpu: HostCpu): Stability {
  const matched = cpu.load32(vmWord(VM_WORDS.matchedVcpus)) + 1;
  return matched === cpu.load32(vmWord(VM_WORDS.onlineVcpus)) ? 'stable' : 'the TSCs of the vCPUs differ';
}

/** Ours: looks at every vCPU. */
function judgeTscs(vm: KvmVm): Stability {
  const { cpu } = vm;
  const timeScale = cpu.load64(vcpuWord(0, VCPU_WORDS.timeScale));
  if (mulOf(timeScale) === 0) return 'the TSC rate is not known';
  if ((timeScale & TIME_SCALE_CATCH_UP) !== 0n) return 'the TSC of a vCPU has to be caught up';
  const tscOffset = cpu.load64(vcpuWord(0, VCPU_WORDS.tscOffset));
  const tscRatio = cpu.load64(vcpuWord(0, VCPU_WORDS.tscRatio));
  for (let vcpu = 1; vcpu < vm.setup.vcpus; vcpu++) {
    if (!isCreated(vm, vcpu)) continue;
    const same =
      cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscOffset)) === tscOffset &&
      cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscRatio)) === tscRatio &&
      cpu.load64(vcpuWord(vcpu, VCPU_WORDS.timeScale)) === timeScale;
    if (!same) return 'the TSCs of the vCPUs differ';
  }
  return 'stable';
}

/** What an update writes where nothing is asked of the clock but to go on. */
export function refreshedCopy(vm: KvmVm): NextCopy {
  return () => nextCopy(vm, (fresh, old, hostTsc) => continuedOffset(vm, fresh, old, hostTsc));
}

/**
 * The offset of the next copy: ns, mod 2^64. `fresh`: the copy with the old offset; `hostTsc`: its instant, stable or not;
 * `realtimeNs()`: the time of day at it, ns since 1970.
 */
export type OffsetRule = (fresh: MasterCopy, old: MasterCopy, hostTsc: bigint, realtimeNs: () => bigint) => bigint;

/** A new copy, its offset by `rule`. To be called by the updater, under the lock. */
export function nextCopy(vm: KvmVm, rule: OffsetRule): MasterCopy {
  const { cpu, hostClock, events } = vm;
  const old = loadMasterCopy(cpu);
  const sample = hostClock.sample();
  const stability = judge(vm, sample);
  const useMasterClock = stability === 'stable';
  const hostTsc = sample?.tsc ?? cpu.hostTsc(); // TSC before ns: the clock may wait, never step back
  const fresh = {
    useMasterClock,
    masterKernelNs: sample?.ns ?? cpu.hostNs(),
    masterCycleNow: hostTsc,
    kvmclockOffset: old.kvmclockOffset,
  };
  const realtimeNs = () => sample?.realtimeNs ?? hostClock.realtimeNs();
  const next = { ...fresh, kvmclockOffset: BigInt.asUintN(64, rule(fresh, old, hostTsc, realtimeNs)) };
  noteLine(cpu, 0);
  if (useMasterClock !== old.useMasterClock) events.stability(stability);
  events.updating(next);
  return next;
}

/** `kvm`: the offset stays, whatever the arithmetic has lost. `continuous`: what makes the new line meet the old. */
function continuedOffset(vm: KvmVm, fresh: MasterCopy, old: MasterCopy, hostTsc: bigint): bigint {
  if (vm.setup.policy.base === 'kvm') return old.kvmclockOffset;
  if (old.useMasterClock && isBehind(hostTsc, old)) return old.kvmclockOffset;
  if (old.useMasterClock) return clockAt(vm.cpu, vm.setup, old, hostTsc) - fresh.masterKernelNs;
  if (fresh.useMasterClock) return leadingClock(vm, fresh, hostTsc) - fresh.masterKernelNs;
  return old.kvmclockOffset;
}

/** True where `hostTsc`, mod 2^64, comes before the line's begin: the arithmetic would take it for one far ahead. */
function isBehind(hostTsc: bigint, copy: MasterCopy): boolean {
  return BigInt.asIntN(64, hostTsc - copy.masterCycleNow) < 0n;
}

/** The VM's clock by the line of `copy`, when the host's TSC shows `hostTsc`: ns, mod 2^64. Never before the line's begin. */
export function clockAt(cpu: HostCpu, setup: VmSetup, copy: MasterCopy, hostTsc: bigint): bigint {
  if (isBehind(hostTsc, copy)) return BigInt.asUintN(64, copy.masterKernelNs + copy.kvmclockOffset);
  const scale = cpu.load64(vmWord(VM_WORDS.lineScale));
  const ratio = setup.tscScaling ? cpu.load64(vmWord(VM_WORDS.lineRatio)) : undefined;
  const scaled = (tsc: bigint) => (ratio === undefined ? tsc : scaleTsc(tsc, ratio));
  const delta = BigInt.asUintN(64, scaled(hostTsc) - scaled(copy.masterCycleNow));
  const passedNs = scaleDelta(delta, mulOf(scale), shiftOf(scale));
  return BigInt.asUintN(64, copy.masterKernelNs + copy.kvmclockOffset + passedNs);
}

/** The VM's clock where it becomes stable: by the host's clock, but not behind what any vCPU's own line shows. */
function leadingClock(vm: KvmVm, fresh: MasterCopy, hostTsc: bigint): bigint {
  let clock = BigInt.asUintN(64, fresh.masterKernelNs + fresh.kvmclockOffset);
  for (let vcpu = 0; vcpu < vm.setup.vcpus; vcpu++) {
    const own = ownClockAt(vm, vcpu, hostTsc);
    if (own !== undefined && BigInt.asIntN(64, own - clock) > 0n) clock = own;
  }
  return clock;
}

/** What `vcpu`'s own line shows; undefined where it has none, or the host's TSC is behind its begin. */
function ownClockAt(vm: KvmVm, vcpu: number, hostTsc: bigint): bigint | undefined {
  const { cpu, setup } = vm;
  const began = cpu.load64(vcpuWord(vcpu, VCPU_WORDS.ownHostTsc));
  if (began === 0n || began > hostTsc) return undefined;
  const scale = cpu.load64(vcpuWord(vcpu, VCPU_WORDS.timeScale));
  const delta = scaledTsc(cpu, setup, vcpu, hostTsc) - scaledTsc(cpu, setup, vcpu, began);
  return cpu.load64(vcpuWord(vcpu, VCPU_WORDS.ownSystemTime)) + scaleDelta(delta, mulOf(scale), shiftOf(scale));
}

/** Forgets the vCPUs' own lines: the clock was set, or the host's TSC has jumped. */
export function forgetOwnLines(vm: KvmVm): void {
  for (let vcpu = 0; vcpu < vm.setup.vcpus; vcpu++) vm.cpu.store64(vcpuWord(vcpu, VCPU_WORDS.ownHostTsc), 0n);
}
