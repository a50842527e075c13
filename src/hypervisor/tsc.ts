/**
 * The TSCs of the vCPUs and the rule by which they match.
 *
 * A VMM that wants all vCPUs to show one TSC can only write a value to each, one after the other, with time passing in
 * between. So a write that comes close to what the last written TSC shows by now is taken to mean "the same as that one":
 * it gets exactly its offset, and the vCPU joins its generation. Any other write begins a new generation, of which the other vCPUs
 * are not: the VM has no master clock until they have joined.
 *
 *   2015:   close = within 1 s of (last write + time since), at the same rate; the guest's own writes too
 *   today:  0 always means "the same" (a vCPU is created with it); else close, once user space has set any TSC before
 */
import { scaleDelta } from '../scale/scale-delta.ts';
import { guestTsc, moveTsc, mulOf, scaledTsc, shiftOf } from './guest-tsc.ts';
import { judge } from './master-clock.ts';
import { REQUEST } from './request-bits.ts';
import { request } from './requests.ts';
import { type KvmVm, underLock } from './vm.ts';
import { TIME_SCALE_CATCH_UP, VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from './words.ts';

const USEC_PER_SEC = 1_000_000n;
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** Who writes: `creation` is the host's own first write of 0. */
export type TscWriter = 'creation' | 'host' | 'guest';

/** `vcpu`'s TSC as it stands. */
export function readTsc(vm: KvmVm, vcpu: number): bigint {
  return guestTsc(vm.cpu, vm.setup, vcpu, vm.cpu.hostTsc());
}

/** Makes `vcpu`'s TSC show `tsc`, or what it shows by the matching rule. The vCPU must be out of the guest. */
export function writeTsc(vm: KvmVm, vcpu: number, tsc: bigint, writer: TscWriter): void {
  if (writer === 'guest' && vm.flavour.guestTscWrite !== 'as-host') {
    const cycles = u64(tsc - readTsc(vm, vcpu));
    adjustTsc(vm, vcpu, cycles, vm.flavour.guestTscWrite === 'tracked');
    return;
  }
  underLock(vm, () => synchronize(vm, vcpu, tsc, writer));
}

/** Sets the offset itself, as KVM_VCPU_TSC_OFFSET does: it matches only if it is exactly the last one. */
export function writeTscOffset(vm: KvmVm, vcpu: number, offset: bigint): void {
  underLock(vm, () => {
    const { cpu } = vm;
    const hz = cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscHz));
    const matched =
      hz === cpu.load64(vmWord(VM_WORDS.lastTscHz)) && u64(offset) === cpu.load64(vmWord(VM_WORDS.lastTscOffset));
    const tsc = u64(scaledTsc(cpu, vm.setup, vcpu, cpu.hostTsc()) + offset);
    cpu.store32(vmWord(VM_WORDS.userSetTsc), 1);
    noteWrite(vm, vcpu, { tsc, offset: u64(offset), ns: cpu.hostNs(), matched, first: false });
  });
}

/** Bumps the TSC and TSC_ADJUST by `cycles`, as a guest's write does; `follow`: its record, and the VM's stability, do. */
export function adjustTsc(vm: KvmVm, vcpu: number, cycles: bigint, follow: boolean): void {
  underLock(vm, () => {
    const { cpu } = vm;
    const adjust = vcpuWord(vcpu, VCPU_WORDS.tscAdjust);
    moveTsc(cpu, vcpu, cycles);
    cpu.store64(adjust, u64(cpu.load64(adjust) + cycles));
    if (follow) track(vm, vcpu, { newGeneration: false, moved: cycles !== 0n });
  });
}

function synchronize(vm: KvmVm, vcpu: number, written: bigint, writer: TscWriter): void {
  const { cpu } = vm;
  const hostTsc = cpu.hostTsc();
  const ns = cpu.hostNs();
  const sinceNs = ns - cpu.load64(vmWord(VM_WORDS.lastTscNs));
  const matched =
    vm.flavour.tscMatch === '2015'
      ? meansSame2015(vm, vcpu, written, sinceNs)
      : meansSameToday(vm, vcpu, written, sinceNs);
  if (writer === 'host') cpu.store32(vmWord(VM_WORDS.userSetTsc), 1);
  const scaled = scaledTsc(cpu, vm.setup, vcpu, hostTsc);
  let tsc = written;
  let offset = u64(tsc - scaled);
  if (matched && vm.hostClock.sample() !== undefined) {
    offset = cpu.load64(vmWord(VM_WORDS.generationOffset));
  } else if (matched) {
    tsc = u64(tsc + cyclesIn(vm, vcpu, sinceNs)); // offsets do not compare across processors: the best that can be had
    offset = u64(tsc - scaled);
  }
  noteWrite(vm, vcpu, { tsc, offset, ns, matched, first: writer === 'creation' });
}

/** January 2015's rule. `written` near 2^64 means one a little below 0. */
function meansSame2015(vm: KvmVm, vcpu: number, written: bigint, sinceNs: bigint): boolean {
  const { cpu } = vm;
  const hz = cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscHz));
  if (hz === 0n || hz !== cpu.load64(vmWord(VM_WORDS.lastTscHz))) return false;
  const ahead = BigInt.asIntN(64, written - cpu.load64(vmWord(VM_WORDS.lastTscWrite)));
  const differenceUs = (ahead * USEC_PER_SEC) / hz - sinceNs / 1000n;
  return differenceUs > -USEC_PER_SEC && differenceUs < USEC_PER_SEC;
}

function meansSameToday(vm: KvmVm, vcpu: number, written: bigint, sinceNs: bigint): boolean {
  const { cpu } = vm;
  const hz = cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscHz));
  if (hz === 0n || hz !== cpu.load64(vmWord(VM_WORDS.lastTscHz))) return false;
  if (written === 0n) return true;
  if (cpu.load32(vmWord(VM_WORDS.userSetTsc)) === 0) return false;
  const expected = u64(cpu.load64(vmWord(VM_WORDS.lastTscWrite)) + cyclesIn(vm, vcpu, sinceNs));
  return written < u64(expected + hz) && u64(written + hz) > expected; // within one second, both ends excluded
}

/** Cycles of `vcpu`'s TSC in `ns`. */
export function cyclesIn(vm: KvmVm, vcpu: number, ns: bigint): bigint {
  const scale = vm.cpu.load64(vcpuWord(vcpu, VCPU_WORDS.virtualScale));
  return scaleDelta(u64(ns), mulOf(scale), shiftOf(scale));
}

interface TscWrite {
  readonly tsc: bigint;
  readonly offset: bigint;
  readonly ns: bigint;
  readonly matched: boolean;
  /** The vCPU had no TSC yet. */
  readonly first: boolean;
}

function noteWrite(vm: KvmVm, vcpu: number, write: TscWrite): void {
  const { cpu } = vm;
  const generation = vmWord(VM_WORDS.tscGeneration);
  if (!write.matched) {
    cpu.store32(generation, (cpu.load32(generation) + 1) >>> 0);
    cpu.store64(vmWord(VM_WORDS.generationNs), write.ns);
    cpu.store64(vmWord(VM_WORDS.generationWrite), write.tsc);
    cpu.store64(vmWord(VM_WORDS.generationOffset), write.offset);
    cpu.store32(vmWord(VM_WORDS.matchedVcpus), 0);
  } else if (cpu.load32(vcpuWord(vcpu, VCPU_WORDS.tscGeneration)) !== cpu.load32(generation)) {
    const matched = vmWord(VM_WORDS.matchedVcpus);
    cpu.store32(matched, cpu.load32(matched) + 1);
  }
  cpu.store64(vmWord(VM_WORDS.lastTscNs), write.ns);
  cpu.store64(vmWord(VM_WORDS.lastTscWrite), write.tsc);
  cpu.store64(vmWord(VM_WORDS.lastTscHz), cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscHz)));
  cpu.store64(vmWord(VM_WORDS.lastTscOffset), write.offset);
  const tscOffset = vcpuWord(vcpu, VCPU_WORDS.tscOffset);
  const moved = !write.first && cpu.load64(tscOffset) !== write.offset;
  cpu.store64(tscOffset, write.offset);
  cpu.store32(vcpuWord(vcpu, VCPU_WORDS.tscGeneration), cpu.load32(generation));
  if (vm.flavour.tscKnown === 'compares') endCatchUpOfMove(vm, vcpu);
  cpu.store64(vcpuWord(vcpu, VCPU_WORDS.thisTscNs), cpu.load64(vmWord(VM_WORDS.generationNs)));
  cpu.store64(vcpuWord(vcpu, VCPU_WORDS.thisTscWrite), cpu.load64(vmWord(VM_WORDS.generationWrite)));
  track(vm, vcpu, { newGeneration: !write.matched, moved });
}

/**
 * A vCPU that moved where TSCs could not be compared is caught up from then on. Where they can be again, its TSC counts
 * from what is written: ours then lets it be, so that the VM can be stable once more. KVM never does.
 */
function endCatchUpOfMove(vm: KvmVm, vcpu: number): void {
  const { cpu } = vm;
  const always = cpu.load32(vcpuWord(vcpu, VCPU_WORDS.alwaysCatchUp)) === 1;
  if (always || vm.hostClock.sample() === undefined) return;
  const timeScale = vcpuWord(vcpu, VCPU_WORDS.timeScale);
  cpu.store64(timeScale, cpu.load64(timeScale) & ~TIME_SCALE_CATCH_UP);
}

/**
 * Asks for what a written TSC makes necessary; it is served before this vCPU enters. Where TSCs are set one after the other,
 * the last one to be set makes them match again, and may be the first to enter: record 0 must be of the new TSCs by then. So
 * ours updates whenever a TSC has moved. KVM does so for the first only, with the generation that it begins.
 */
export function track(
  vm: KvmVm,
  vcpu: number,
  write: { readonly newGeneration: boolean; readonly moved: boolean },
): void {
  const { cpu, flavour } = vm;
  const on = cpu.load32(vmWord(VM_WORDS.useMasterClock)) === 1;
  const possible = judge(vm, vm.hostClock.sample()) === 'stable';
  const { refreshOnTscWrite: when } = flavour;
  const again = when === 'new-generation' ? write.newGeneration : write.moved;
  const refresh = when === 'always' ? on || possible : on !== possible || (on && again);
  if (refresh) request(cpu, vcpu, REQUEST.MASTERCLOCK_UPDATE, false);
  else if (when === 'moved') request(cpu, vcpu, REQUEST.CLOCK_UPDATE, false); // its record names another TSC now
}
