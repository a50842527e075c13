import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VCPU_WORDS, vcpuWord } from '../../src/hypervisor/words.ts';
import { timeScale, tscToNs } from '../../src/scale/time-scale.ts';
import { type World, world } from './world.ts';

const pair = (vm: World, vcpu = 0) => {
  const { tscToSystemMul: mul, tscShift: shift } = vm.record(vcpu);
  return { mul, shift };
};
const alwaysCatchUp = (vm: World) => vm.memory.load32(vcpuWord(0, VCPU_WORDS.alwaysCatchUp));

test('records carry the pair of the host rate, which KVM cuts to a kHz', () => {
  assert.deepEqual(pair(world({ hostHz: 2_593_992_345n })), tscToNs(2_593_992_345n));
  assert.deepEqual(pair(world({ hostHz: 2_593_992_345n, flavour: 'kvm' })), tscToNs(2_593_992_000n));
  assert.deepEqual(pair(world({ hostHz: 2_596_144_999n, flavour: 'kvm' })), { mul: 3_308_728_095, shift: -1 });
});

test('a rate within 250 ppm of the host is left at the host, one beyond needs scaling or catching up', () => {
  const host = 2_000_000_000n;
  for (const [hz, catchUp] of [
    [host + 500_000n, 0],
    [host - 500_000n, 0],
    [host + 501_000n, 1],
  ] as const) {
    const vm = world({ flavour: 'kvm', guestHz: hz });
    assert.equal(alwaysCatchUp(vm), catchUp);
    assert.deepEqual(pair(vm), tscToNs(host));
  }
});

test('setTscHz() below the host fails without scaling, says why, and leaves the VM usable', () => {
  const vm = world();
  assert.throws(() => vm.hypervisor.setTscHz(0, 1_000_000_000n), {
    code: 'EINVAL',
    message:
      "EINVAL: TSC rate of vCPU 0: 1000000000 Hz is below the host's 2000000000 Hz, which takes a processor that scales TSCs",
  });
  for (const hz of [0n, -1n, 1n << 64n]) assert.throws(() => vm.hypervisor.setTscHz(0, hz), { code: 'EINVAL' });
  const scaling = world({ tscScaling: true });
  assert.throws(() => scaling.hypervisor.setTscHz(0, (1n << 64n) - 1n), { code: 'EINVAL' });
  vm.hypervisor.refresh();
  vm.runAll();
  assert.equal(vm.record(0).flags, 1);
});

test('a scaled guest sees its own rate, and its clock keeps time', () => {
  for (const flavour of ['kvmclock', 'kvm'] as const) {
    const vm = world({ flavour, hostHz: 3_000_000_000n, guestHz: 1_500_000_000n, tscScaling: true });
    assert.deepEqual(pair(vm), tscToNs(1_500_000_000n));
    const tsc = vm.hypervisor.readTsc(0);
    const clock = vm.clock(0);
    vm.host.advanceNs(10_000_000_000n);
    assert.equal(vm.hypervisor.readTsc(0) - tsc, 15_000_000_000n);
    assert.ok(10_000_000_000n - (vm.clock(0) - clock) <= 10n);
  }
});

test('setTscHz() lets the TSC and the clock go on in ours; the TSC jumps in KVM', () => {
  const vm = world({ hostHz: 3_000_000_000n, tscScaling: true });
  vm.host.advanceNs(5_000_000_000n);
  const before = { tsc: vm.hypervisor.readTsc(0), clock: vm.clock(0) };
  for (const vcpu of [0, 1]) vm.hypervisor.setTscHz(vcpu, 1_500_000_000n);
  vm.runAll();
  vm.runAll();
  assert.deepEqual({ tsc: vm.hypervisor.readTsc(0), clock: vm.clock(0) }, before);
  assert.deepEqual([vm.record(0).flags, vm.record(1).flags], [1, 1]);
  assert.deepEqual(pair(vm), tscToNs(1_500_000_000n));

  const kvm = world({ flavour: 'kvm', hostHz: 3_000_000_000n, tscScaling: true });
  kvm.host.advanceNs(5_000_000_000n);
  const tsc = kvm.hypervisor.readTsc(0);
  kvm.hypervisor.setTscHz(0, 1_500_000_000n);
  assert.ok(kvm.hypervisor.readTsc(0) < tsc);
});

test('one vCPU at another rate ends stability where TSCs are compared, and is not noticed by KVM', () => {
  for (const [flavour, flags] of [
    ['kvmclock', 0],
    ['kvm', 1],
  ] as const) {
    const vm = world({ flavour, hostHz: 3_000_000_000n, tscScaling: true });
    vm.hypervisor.setTscHz(1, 1_500_000_000n);
    vm.runAll();
    vm.runAll();
    assert.equal(vm.record(0).flags, flags);
  }
});

test('TSC catch-up bumps the TSC to where it should be at each entry, and never back', () => {
  for (const flavour of ['kvmclock', 'kvm'] as const) {
    const vm = world({ flavour, vcpus: 1, hostHz: 2_000_000_000n, guestHz: 3_000_000_000n });
    const start = vm.hypervisor.readTsc(0);
    const clock = vm.clock(0);
    vm.host.advanceNs(1_000_000_000n);
    assert.equal(vm.hypervisor.readTsc(0) - start, 2_000_000_000n);
    if (flavour === 'kvm') vm.hypervisor.refresh();
    vm.run(0);
    const due = vm.hypervisor.readTsc(0) - start;
    assert.ok(due >= 2_999_999_990n && due <= 3_000_010_000n, `${due}`);
    const passed = vm.clock(0) - clock;
    assert.ok(passed >= 999_999_990n && passed <= 1_000_001_000n, `${passed}`);
  }
});

test('TSC catch-up does not need a record', () => {
  for (const flavour of ['kvmclock', 'kvm', 'kvm-2015'] as const) {
    const vm = world({ flavour, vcpus: 1, guestHz: 3_000_000_000n, enabled: false });
    vm.host.keepTimeByTsc(false);
    vm.hypervisor.refresh();
    vm.run(0);
    vm.host.advanceNs(1_000_000_000n);
    vm.run(0);
    assert.equal(vm.hypervisor.readTsc(0), 3_000_000_000n);
  }
});

test('a VM whose TSCs must be caught up is not stable in ours, as each is bumped at its own moment', () => {
  const vm = world({ hostHz: 2_000_000_000n, guestHz: 3_000_000_000n });
  assert.deepEqual([vm.record(0).flags, vm.record(1).flags], [0, 0]);
  assert.equal(world({ flavour: 'kvm', hostHz: 2_000_000_000n, guestHz: 3_000_000_000n }).record(0).flags, 1);
});

test("catch-up with a sample from before the TSC was written sends KVM's TSC far ahead, and leaves ours", () => {
  const jump = (flavour: 'kvm' | 'kvmclock') => {
    const vm = world({ flavour, vcpus: 1, hostHz: 2_000_000_000n, guestHz: 3_000_000_000n });
    vm.host.advanceNs(1_000_000_000n);
    vm.memory.store64(vcpuWord(0, VCPU_WORDS.thisTscNs), vm.host.ns() + 1_000n); // written after the sample of the copy
    vm.memory.store64(vcpuWord(0, VCPU_WORDS.thisTscWrite), vm.hypervisor.readTsc(0));
    const before = vm.hypervisor.readTsc(0);
    vm.hypervisor.enter(0);
    return vm.hypervisor.readTsc(0) - before;
  };
  assert.equal(jump('kvmclock'), 0n);
  assert.ok(jump('kvm') > 1n << 40n);
});

test('while the TSC rate is not known there is no record; once it is, there is', () => {
  for (const flavour of ['kvmclock', 'kvm'] as const) {
    const late = world({ flavour, hostHz: 0n, enabled: false });
    late.hypervisor.wrmsr(0, 0x4b564d01, 4097n);
    assert.equal(late.hypervisor.tryEnter(0), false);
    assert.equal(late.record(0).version, 0);
    late.host.setTscHz(2_400_000_000n);
    late.hypervisor.hostRateChanged();
    assert.equal(late.hypervisor.tryEnter(0), true);
    assert.deepEqual(pair(late), tscToNs(2_400_000_000n));
    assert.equal(late.hypervisor.tscHz(0), 2_400_000_000n);
  }
});

test('a rate that a guest was given before the host knew its own is kept once it does, or refused', () => {
  for (const [tscScaling, guestHz] of [
    [true, 1_234_567_000n],
    [false, 3_000_000_000n],
  ] as const) {
    const vm = world({ hostHz: 0n, guestHz, tscScaling, vcpus: 1, enabled: false });
    vm.host.setTscHz(2_000_000_000n);
    vm.hypervisor.hostRateChanged();
    assert.equal(vm.hypervisor.readTsc(0), 0n);
    vm.host.advanceNs(10_000_000_000n);
    vm.hypervisor.leave(0);
    vm.run(0);
    const ahead = vm.hypervisor.readTsc(0) - 10n * guestHz;
    assert.ok(ahead >= -20n && ahead <= 0n, `${ahead} cycles`);
  }
  const slow = world({ hostHz: 0n, guestHz: 1_000_000_000n, enabled: false });
  slow.host.setTscHz(2_000_000_000n);
  assert.throws(() => slow.hypervisor.hostRateChanged(), { code: 'EINVAL', message: /below the host's/ });
});

test('a change of the host rate does not make the clock jump in ours', () => {
  const vm = world({ hostHz: 2_000_000_000n });
  vm.host.advanceNs(3_000_000_000n);
  const before = vm.clock(0);
  vm.host.setTscHz(1_000_000_000n);
  vm.hypervisor.hostRateChanged();
  vm.runAll();
  assert.equal(vm.clock(0), before);
  vm.host.advanceNs(1_000_000_000n);
  assert.equal(vm.clock(1) - before, 1_000_000_000n);
});

test('the pair from ns to cycles is the one that KVM computes', () => {
  assert.deepEqual(timeScale(2_394_374_000n, 1_000_000_000n), { mul: 2_570_939_506, shift: 2 });
});

test('a rate that is none is refused, also while that of the host is not known', () => {
  for (const hostHz of [0n, 2_000_000_000n]) {
    const vm = world({ hostHz, enabled: false });
    for (const hz of [0n, -1n, 1n << 64n]) {
      assert.throws(() => vm.hypervisor.setTscHz(0, hz), { code: 'EINVAL', message: /is not a rate/ });
    }
  }
});

test('a rate within 250 ppm of that of the host is left at that, but where ours can have it to the hertz', () => {
  for (const [flavour, tscScaling, exact] of [
    ['kvm', true, false],
    ['kvm', false, false],
    ['kvmclock', false, false],
    ['kvmclock', true, true],
  ] as const) {
    const vm = world({ flavour, tscScaling });
    vm.hypervisor.setTscHz(0, 1_999_800_000n);
    const before = vm.hypervisor.readTsc(0);
    vm.host.advanceNs(1_000_000_000n);
    const cycles = vm.hypervisor.readTsc(0) - before;
    const off = cycles - (exact ? 1_999_800_000n : 2_000_000_000n);
    assert.ok(off >= -1n && off <= 1n, `${flavour}, scaling ${tscScaling}: ${cycles} cycles`);
  }
});

test('a TSC that is made faster than the processor is caught up from what it showed then', () => {
  const vm = world({ vcpus: 1 });
  vm.host.advanceNs(10_000_000_000n);
  const before = vm.hypervisor.readTsc(0);
  vm.hypervisor.setTscHz(0, 4_000_000_000n);
  vm.host.advanceNs(1_000_000_000n);
  vm.hypervisor.leave(0);
  vm.run(0);
  const off = vm.hypervisor.readTsc(0) - before - 4_000_000_000n;
  assert.ok(off >= -4n && off <= 0n, `${off} cycles`);
});
