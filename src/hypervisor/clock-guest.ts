/**
 * KVM_GET_CLOCK_GUEST and KVM_SET_CLOCK_GUEST: the VM's clock moved as what it is, a line over the guest's TSC, in the form
 * of a record. Whoever restores the guest's TSC and then sets the record has the clock to the nanosecond, however long it took,
 * as both sides mean the same instant when they name the same guest TSC. (Proposed for Linux, not merged.)
 */
import { decodePvti, PVTI, type Pvti } from '../abi/pvti.ts';
import { scaleDelta } from '../scale/scale-delta.ts';
import { u64Of } from './arguments.ts';
import { guestTsc } from './guest-tsc.ts';
import { forgetOwnLines, judge, nextCopy } from './master-clock.ts';
import { loadMasterCopy } from './master-copy.ts';
import { bodyFrom } from './record.ts';
import { updateMasterClock } from './update.ts';
import { ClockError, type KvmVm } from './vm.ts';

/** Largest shift, to either side, that a line may have. */
export const MAX_LINE_SHIFT = 31;

/** A line over the guest's TSC: see Pvti for the units. */
export type GuestLine = Pick<Pvti, 'tscTimestamp' | 'systemTime' | 'tscToSystemMul' | 'tscShift'>;

/** The record that `vcpu` has, or would have. Throws ClockError EINVAL while the VM has no master clock. */
export function getClockGuest(vm: KvmVm, vcpu: number): Pvti {
  needClockGuest(vm);
  const copy = loadMasterCopy(vm.cpu);
  const body = copy.useMasterClock ? bodyFrom(vm.cpu, vm.setup, vcpu, copy, 0) : undefined;
  if (body === undefined) throw new ClockError('EINVAL', 'GET_CLOCK_GUEST: the VM has no master clock');
  return { version: 0, ...body };
}

/**
 * The VM's clock becomes what `line` gives at the TSC of `vcpu`. Set that TSC first. Throws ClockError EINVAL on a line
 * that cannot be one, on a TSC that is before it, and where the VM has no master clock; RangeError on what is no u64.
 */
export function setClockGuest(vm: KvmVm, vcpu: number, line: GuestLine): void {
  needClockGuest(vm);
  checkLine(line);
  u64Of('SET_CLOCK_GUEST, tscTimestamp', line.tscTimestamp);
  u64Of('SET_CLOCK_GUEST, systemTime', line.systemTime);
  const now = guestTsc(vm.cpu, vm.setup, vcpu, vm.cpu.hostTsc());
  if (now < line.tscTimestamp) {
    throw new ClockError(
      'EINVAL',
      `SET_CLOCK_GUEST: the TSC of vCPU ${vcpu} is ${now}, before the line's ${line.tscTimestamp}`,
    );
  }
  const stability = judge(vm, vm.hostClock.sample());
  if (stability !== 'stable') throw new ClockError('EINVAL', `SET_CLOCK_GUEST: no master clock, as ${stability}`);
  followLine(vm, vcpu, line);
}

/** The VM's clock becomes what `line` gives at the TSC of `vcpu`, stable or not. */
export function followLine(vm: KvmVm, vcpu: number, line: GuestLine): void {
  const { cpu, setup } = vm;
  updateMasterClock(cpu, setup, () => {
    forgetOwnLines(vm);
    return nextCopy(
      vm,
      (fresh, _old, hostTsc) => clockOnLine(line, guestTsc(cpu, setup, vcpu, hostTsc)) - fresh.masterKernelNs,
    );
  });
}

/** The 32 bytes of the ioctl as a record. Throws ClockError EINVAL where its padding is not zero. */
export function decodeClockGuest(view: DataView, offset = 0): Pvti {
  if (view.getUint32(offset + PVTI.pad0, true) !== 0 || view.getUint16(offset + PVTI.pad, true) !== 0) {
    throw new ClockError('EINVAL', 'SET_CLOCK_GUEST: the padding of the record is not zero');
  }
  return decodePvti(view, offset);
}

/** The line's time at `tsc`: ns, mod 2^64. */
export function clockOnLine(line: GuestLine, tsc: bigint): bigint {
  const delta = BigInt.asUintN(64, tsc - line.tscTimestamp);
  return BigInt.asUintN(64, line.systemTime + scaleDelta(delta, line.tscToSystemMul, line.tscShift));
}

/** Throws ClockError EINVAL on a pair that no line has. */
export function checkLine(line: Pick<GuestLine, 'tscToSystemMul' | 'tscShift'>): void {
  const { tscToSystemMul: mul, tscShift: shift } = line;
  if (!Number.isInteger(mul) || mul < 1 || mul > 0xffffffff) {
    throw new ClockError('EINVAL', `a line with the multiplier ${mul}: only 1 to 2^32-1 will do`);
  }
  if (!Number.isInteger(shift) || Math.abs(shift) > MAX_LINE_SHIFT) {
    throw new ClockError(
      'EINVAL',
      `a line with the shift ${shift}: only -${MAX_LINE_SHIFT} to ${MAX_LINE_SHIFT} will do`,
    );
  }
}

function needClockGuest(vm: KvmVm): void {
  if (vm.flavour.clockGuest) return;
  throw new ClockError('ENOTTY', `the ${vm.flavour.name} flavour has no GET_CLOCK_GUEST and SET_CLOCK_GUEST`);
}
