import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KVM_FEATURE_CLOCKSOURCE } from '../../src/abi/cpuid.ts';
import { HV_X64_MSR_REFERENCE_TSC } from '../../src/abi/hyperv.ts';
import {
  MSR_IA32_TSC_ADJUST,
  MSR_KVM_SYSTEM_TIME,
  MSR_KVM_SYSTEM_TIME_NEW,
  MSR_KVM_WALL_CLOCK,
} from '../../src/abi/msr.ts';
import { PVCLOCK_GUEST_STOPPED } from '../../src/abi/pvti.ts';
import { clockOnLine } from '../../src/hypervisor/clock-guest.ts';
import { HYPERVISOR_WORDS } from '../../src/hypervisor/cpu.ts';
import type { SavedClock } from '../../src/hypervisor/save.ts';
import { wordsBytes } from '../../src/hypervisor/words.ts';
import { type World, world } from './world.ts';

const SEC = 1_000_000_000n;
const HZ = 2_593_992_345n;

/** A VM that has run for an hour, and where it was saved. */
function saved(flavour: 'kvmclock' | 'kvm' = 'kvmclock'): { vm: World; state: SavedClock } {
  const vm = world({ flavour, hostHz: HZ, tscScaling: true });
  vm.host.advanceNs(3600n * SEC);
  const text = JSON.stringify(vm.hypervisor.save());
  return { vm, state: JSON.parse(text) as SavedClock };
}

function freshHost(realtimeNs: bigint, hostHz = 3_100_000_000n, flavour: 'kvmclock' | 'kvm' = 'kvmclock'): World {
  const start = { tsc: 55n, ns: 66n, realtimeNs };
  return world({ flavour, hostHz, guestHz: HZ, tscScaling: true, start, enabled: false });
}

test('restore() on another host goes on from the instant of the save, TSCs and clock, every vCPU told', () => {
  const { vm, state } = saved();
  const to = freshHost(vm.host.realtimeNs() + 500n * SEC);
  to.hypervisor.restore(state, 'stopped');
  to.runAll();
  for (const vcpu of [0, 1]) {
    assert.equal(to.hypervisor.readTsc(vcpu), vm.hypervisor.readTsc(vcpu));
    assert.equal(to.clock(vcpu), vm.clock(vcpu));
    assert.equal(to.record(vcpu).flags, 1 | PVCLOCK_GUEST_STOPPED);
    assert.equal(
      to.hypervisor.rdmsr(vcpu, MSR_KVM_SYSTEM_TIME_NEW),
      vm.hypervisor.rdmsr(vcpu, MSR_KVM_SYSTEM_TIME_NEW),
    );
  }
});

test('restore() on a host of any rate leaves the clocks at most 1 ns apart at one TSC, now and an hour later', () => {
  const rate = fc.bigInt({ min: 500_000_000n, max: 5_000_000_000n });
  const time = fc.bigInt({ min: 0n, max: 86_400n * SEC });
  fc.assert(
    fc.property(rate, rate, time, (fromHz, toHz, ranNs) => {
      const from = world({ hostHz: fromHz, tscScaling: true });
      from.host.advanceNs(ranNs);
      const to = world({ hostHz: toHz, guestHz: fromHz, tscScaling: true, enabled: false });
      to.hypervisor.restore(from.hypervisor.save(), 'stopped');
      to.runAll();
      const tsc = from.hypervisor.readTsc(1);
      for (const at of [tsc, tsc + 3600n * fromHz]) {
        const apart = clockOnLine(to.record(1), at) - clockOnLine(from.record(1), at);
        assert.ok(apart >= -1n && apart <= 0n, `${apart} ns apart`);
      }
    }),
  );
});

test('restore() as if the VM had run on adds the time of day that has passed, and never takes any away', () => {
  const { vm, state } = saved();
  const later = freshHost(vm.host.realtimeNs() + 500n * SEC);
  later.hypervisor.restore(state, 'passed');
  later.runAll();
  assert.equal(later.clock(1) - vm.clock(1), 500n * SEC);
  const cycles = later.hypervisor.readTsc(1) - vm.hypervisor.readTsc(1);
  assert.ok(500n * HZ - cycles < 1000n);
  const earlier = freshHost(vm.host.realtimeNs() - 500n * SEC);
  earlier.hypervisor.restore(state, 'passed');
  earlier.runAll();
  assert.equal(earlier.clock(1), vm.clock(1));
});

test('save() keeps the differences between the TSCs of a VM that is not stable', () => {
  const { vm } = saved();
  vm.hypervisor.setTscOffset(1, vm.hypervisor.tscOffset(0) + 4321n);
  vm.runAll();
  const to = freshHost(0n);
  to.hypervisor.restore(vm.hypervisor.save(), 'stopped');
  to.runAll();
  assert.equal(to.hypervisor.readTsc(1) - to.hypervisor.readTsc(0), 4321n);
  assert.equal(to.record(0).flags & 1, 0);
});

test('save() keeps TSC_ADJUST, the wall clock register, the old MSR of vCPU 0, and vCPUs without a record', () => {
  const { vm } = saved();
  vm.hypervisor.wrmsr(1, MSR_IA32_TSC_ADJUST, 99n, 'host');
  vm.hypervisor.wrmsr(0, MSR_KVM_WALL_CLOCK, 512n);
  vm.hypervisor.wrmsr(0, MSR_KVM_SYSTEM_TIME, 4097n);
  vm.hypervisor.wrmsr(1, MSR_KVM_SYSTEM_TIME, 0n);
  vm.runAll();
  const to = freshHost(0n);
  to.hypervisor.restore(vm.hypervisor.save(), 'stopped');
  to.runAll();
  assert.equal(to.hypervisor.rdmsr(1, MSR_IA32_TSC_ADJUST), 99n);
  assert.equal(to.hypervisor.rdmsr(0, MSR_KVM_WALL_CLOCK), 512n);
  assert.equal(to.record(0).flags, PVCLOCK_GUEST_STOPPED, 'the old MSR still ends stability');
  assert.equal(to.record(1).version, 0);
});

test('save() keeps the Hyper-V page, and restore() writes it before any vCPU runs', () => {
  const vm = world({ hypervPage: true });
  vm.hypervisor.wrmsr(0, HV_X64_MSR_REFERENCE_TSC, 8193n);
  vm.runAll();
  const to = world({ hypervPage: true, enabled: false });
  to.hypervisor.restore(vm.hypervisor.save(), 'stopped');
  assert.notEqual(to.guest.getUint32(8192, true), 0);
  assert.equal(to.hypervisor.rdmsr(0, HV_X64_MSR_REFERENCE_TSC), 8193n);
});

test('a snapshot of memory taken after restore() has the note that the vCPU was stopped, in KVM only after it ran', () => {
  for (const [flavour, flag] of [
    ['kvmclock', PVCLOCK_GUEST_STOPPED],
    ['kvm', 0],
  ] as const) {
    const { vm, state } = saved(flavour);
    const to = freshHost(vm.host.realtimeNs(), HZ, flavour);
    to.hypervisor.restore(state, 'stopped');
    assert.equal(to.record(1).flags & PVCLOCK_GUEST_STOPPED, flag);
  }
});

test('restore() refuses what is of another shape, and a rate that the host cannot give', () => {
  const { state } = saved();
  const to = freshHost(0n);
  const format = 'kvmclock-9' as SavedClock['format'];
  assert.throws(
    () => to.hypervisor.restore({ ...state, format }, 'stopped'),
    /"kvmclock-9": only "kvmclock-1" is known/,
  );
  const vcpus = [...state.vcpus, ...state.vcpus];
  assert.throws(() => to.hypervisor.restore({ ...state, vcpus }, 'stopped'), /saved clock of 4 vCPUs: this VM has 2/);
  assert.throws(() => to.hypervisor.restore({ ...state, vcpus: [] }, 'stopped'), RangeError);
  for (const bad of ['-1', 'x', '', '18446744073709551616', '1e3']) {
    assert.throws(() => to.hypervisor.restore({ ...state, clockNs: bad }, 'stopped'), /clockNs is .*, not a number/);
    const vcpu = { ...state.vcpus[0]!, tscHz: bad };
    assert.throws(() => to.hypervisor.restore({ ...state, vcpus: [vcpu] }, 'stopped'), /tscHz is /);
  }
  for (const pair of [{ mul: 0 }, { shift: 32 }, { mul: Number.NaN }]) {
    assert.throws(() => to.hypervisor.restore({ ...state, ...pair }, 'stopped'), { code: 'EINVAL' });
  }
  const elsewhere = { ...state.vcpus[0]!, systemTimeMsr: String((1n << 40n) | 1n) };
  assert.throws(
    () => to.hypervisor.restore({ ...state, vcpus: [elsewhere] }, 'stopped'),
    /cannot be at 0x10000000001 here/,
  );
  assert.throws(
    () => to.hypervisor.restore({ ...state, hypervPage: '8193' }, 'stopped'),
    /cannot keep the Hyper-V page 0x2001/,
  );
  const slower = world({ hostHz: 3_100_000_000n, enabled: false });
  assert.throws(() => slower.hypervisor.restore(state, 'stopped'), { code: 'EINVAL' });
});

test('restore() takes JSON from anywhere: what it refuses leaves the VM as it was, to the word', () => {
  const { state } = saved();
  const [first, second] = [state.vcpus[0]!, state.vcpus[1]!];
  const elsewhere = String((1n << 40n) | 1n);
  const broken: unknown[] = [null, 7, {}, [], 'kvmclock-1', { format: 'kvmclock-1' }];
  broken.push({ ...state, vcpus: null }, { ...state, vcpus: [null, second] }, { ...state, vcpus: [first, 5] });
  broken.push({ ...state, vcpus: [first, { ...second, systemTimeMsr: elsewhere }] });
  broken.push({ ...state, vcpus: [first, { ...second, tscHz: '0' }] });
  broken.push({ ...state, wallClockMsr: undefined }, { ...state, realtimeNs: 5 }, { ...state, hypervPage: '8193' });
  broken.push({ ...state, mul: 1.5 }, { ...state, mul: 2 ** 32 }, { ...state, shift: 0.5 }, { ...state, shift: '1' });
  const to = freshHost(0n);
  const words = () => wordsOf(to);
  const before = words();
  for (const bad of broken) {
    const named = /^(RangeError: saved clock|ClockError: EINVAL: (a line with|TSC rate of))/;
    assert.throws(() => to.hypervisor.restore(bad as SavedClock, 'stopped'), named, JSON.stringify(bad));
    assert.deepEqual(words(), before);
  }
  const away = 'stoped' as 'stopped';
  assert.throws(() => to.hypervisor.restore(state, away), /^RangeError: restore: the time away is/);
  to.hypervisor.restore(state, 'stopped');
});

function wordsOf(vm: World): bigint[] {
  const { setup } = vm.hypervisor.vm;
  const longs = Array.from({ length: wordsBytes(setup.vcpus) / 8 }, (_, index) => index * 8);
  return longs.map((at) => vm.memory.load64(HYPERVISOR_WORDS + at));
}

test('restore() refuses more vCPUs than exist, and needs no register that its VM does not offer', () => {
  const { state } = saved();
  const to = world({ hostHz: HZ, vcpus: 2, created: 1, enabled: false });
  assert.throws(() => to.hypervisor.restore(state, 'stopped'), /saved clock of 2 vCPUs: this VM has 1$/);
  const features = 1 << KVM_FEATURE_CLOCKSOURCE;
  const old = world({ features, enabled: false });
  old.hypervisor.wrmsr(1, MSR_KVM_SYSTEM_TIME, 4097n);
  const restored = world({ features, enabled: false });
  restored.hypervisor.restore(old.hypervisor.save(), 'stopped');
  assert.equal(restored.hypervisor.rdmsr(1, MSR_KVM_SYSTEM_TIME), 4097n);
});

test('save() refuses a VM whose TSC rate is not known yet', () => {
  const vm = world({ hostHz: 0n, enabled: false });
  assert.throws(() => vm.hypervisor.save(), { code: 'EINVAL', message: /save: the TSC rate is not known/ });
});

test('save() and restore() need no host that keeps time by its TSC: clock and TSCs go on from where they were', () => {
  const from = world({ hostHz: HZ, tscScaling: true });
  from.host.keepTimeByTsc(false);
  from.hypervisor.hostClocksourceChanged();
  from.host.advanceNs(3600n * SEC);
  const to = freshHost(0n);
  to.host.keepTimeByTsc(false);
  to.hypervisor.restore(from.hypervisor.save(), 'stopped');
  assert.equal(to.hypervisor.getClock().clock, from.hypervisor.getClock().clock);
  for (const vcpu of [0, 1]) assert.equal(to.hypervisor.readTsc(vcpu), from.hypervisor.readTsc(vcpu));
});

test('save() takes clock, TSCs and time of day at one instant', () => {
  const { vm } = saved();
  const { clock } = vm.hypervisor.getClock();
  const [tsc, realtimeNs] = [vm.hypervisor.readTsc(0), vm.host.realtimeNs()];
  for (const reading of ['tsc', 'ns', 'realtimeNs'] as const) {
    const read = vm.host[reading].bind(vm.host);
    vm.host[reading] = () => {
      vm.host.advanceNs(1_000n);
      return read();
    };
  }
  const state = vm.hypervisor.save();
  assert.deepEqual(
    [state.clockNs, state.realtimeNs, state.vcpus[0]!.tsc, state.vcpus[1]!.tsc],
    [clock, realtimeNs, tsc, tsc].map(String),
  );
});
