import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  KVM_CLOCK_HOST_TSC,
  KVM_CLOCK_REALTIME,
  KVM_CLOCK_TSC_STABLE,
  KVM_CLOCK_VALID_FLAGS,
} from '../../src/abi/kvm-clock-data.ts';
import { MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_WALL_CLOCK_NEW } from '../../src/abi/msr.ts';
import { PVCLOCK_GUEST_STOPPED } from '../../src/abi/pvti.ts';
import { decodeStruct } from '../../src/abi/struct.ts';
import { WALL_CLOCK_LAYOUT } from '../../src/abi/wall-clock.ts';
import { VCPU_WORDS, vcpuWord } from '../../src/hypervisor/words.ts';
import { RECORDS, type World, type WorldOptions, world } from './world.ts';

const SEC = 1_000_000_000n;
const FLAVOURS = ['kvmclock', 'kvm', 'kvm-2015', 'kvm-2014'] as const;

test('getClock() of a stable VM names the instant on three clocks', () => {
  for (const flavour of ['kvmclock', 'kvm'] as const) {
    const vm = world({ flavour });
    vm.host.advanceNs(5n * SEC);
    const { clock, flags, realtime, hostTsc } = vm.hypervisor.getClock();
    assert.equal(flags, KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC);
    assert.deepEqual([realtime, hostTsc], [vm.host.realtimeNs(), vm.host.tsc()]);
    assert.equal(clock, vm.clock(0));
  }
});

test('getClock() of a VM that is not stable, and of 2015, has the clock alone', () => {
  const vm = world({ flavour: 'kvm' });
  vm.host.keepTimeByTsc(false);
  vm.hypervisor.hostClocksourceChanged();
  vm.runAll();
  for (const other of [vm, world({ flavour: 'kvm-2015' })]) {
    other.host.advanceNs(5n * SEC);
    assert.deepEqual(other.hypervisor.getClock(), { clock: 5n * SEC, flags: 0, pad0: 0, realtime: 0n, hostTsc: 0n });
  }
});

test('getClock() while the records still say stable and the host has left its TSC has no instant to name', () => {
  const vm = world({ flavour: 'kvm' });
  vm.host.keepTimeByTsc(false);
  const { flags, realtime, hostTsc } = vm.hypervisor.getClock();
  assert.deepEqual({ flags, realtime, hostTsc }, { flags: KVM_CLOCK_TSC_STABLE, realtime: 0n, hostTsc: 0n });
});

test('getClock() of a scaled guest is its own clock, but for KVM, which goes on by the rate of the host', () => {
  const off = (flavour: 'kvmclock' | 'kvm') => {
    const vm = world({ flavour, hostHz: 2_999_999_999n, guestHz: 1_234_567_891n, tscScaling: true });
    vm.host.advanceNs(86_400n * SEC);
    return vm.hypervisor.getClock().clock - vm.clock(0);
  };
  assert.equal(off('kvmclock'), 0n);
  assert.ok(off('kvm') < -10_000n, `${off('kvm')}`);
});

test('setClock() moves the clock, forward and back, and every record follows before its vCPU runs', () => {
  for (const flavour of FLAVOURS) {
    const vm = world({ flavour });
    vm.host.advanceNs(100n * SEC);
    for (const clock of [5_000n * SEC, 0n, 7n * SEC]) {
      vm.hypervisor.setClock({ clock, flags: 0 });
      vm.runAll();
      assert.deepEqual([vm.clock(0), vm.clock(1)], [clock, clock]);
      assert.equal(vm.hypervisor.getClock().clock, clock);
      vm.host.advanceNs(SEC);
      assert.equal(vm.clock(1), clock + SEC);
    }
  }
});

for (const [flavour, valid] of [
  ['kvmclock', KVM_CLOCK_VALID_FLAGS],
  ['kvm', KVM_CLOCK_VALID_FLAGS],
  ['kvm-2015', 0],
] as const) {
  test(`${flavour}: setClock() takes the flags 0x${valid.toString(16)} and answers EINVAL to every other`, () => {
    const vm = world({ flavour });
    for (let bit = 0; bit < 32; bit++) {
      const flags = (1 << bit) >>> 0;
      const set = () => vm.hypervisor.setClock({ clock: SEC, flags, realtime: 0n, hostTsc: 0n });
      if ((flags & valid) === 0) assert.throws(set, { code: 'EINVAL' });
      else assert.doesNotThrow(set);
    }
  });
}

/** The four cases of KVM's own test: base, and the time of day at the save against now. */
for (const base of [0n, 180n * SEC]) {
  for (const [realtimeDelta, moved] of [
    [undefined, 0n],
    [-180n * SEC, 180n * SEC],
    [180n * SEC, 0n],
  ] as const) {
    test(`setClock() to ${base} with a time of day ${realtimeDelta ?? 'not given'} goes on from ${base + moved}`, () => {
      for (const flavour of ['kvmclock', 'kvm'] as const) {
        const vm = world({ flavour });
        const realtime = vm.host.realtimeNs() + (realtimeDelta ?? 0n);
        vm.hypervisor.setClock({ clock: base, flags: realtimeDelta === undefined ? 0 : KVM_CLOCK_REALTIME, realtime });
        vm.runAll();
        const start = vm.hypervisor.getClock();
        const guest = vm.clock(1);
        vm.host.advanceCycles(10n);
        const end = vm.hypervisor.getClock();
        for (const { flags } of [start, end]) assert.equal(flags & (KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC), 12);
        assert.ok(start.clock <= guest && guest <= end.clock);
        assert.equal(guest, base + moved);
      }
    });
  }
}

test('setClock() on a VM that is not stable moves its clock too', () => {
  for (const flavour of FLAVOURS) {
    const vm = world({ flavour });
    vm.host.keepTimeByTsc(false);
    vm.hypervisor.hostClocksourceChanged();
    vm.runAll();
    vm.hypervisor.setClock({ clock: 77n * SEC, flags: 0 });
    vm.runAll();
    assert.deepEqual([vm.clock(0), vm.clock(1)], [77n * SEC, 77n * SEC]);
    vm.host.keepTimeByTsc(true);
    vm.hypervisor.hostClocksourceChanged();
    vm.runAll();
    vm.runAll();
    assert.deepEqual([vm.clock(0), vm.clock(1)], [77n * SEC, 77n * SEC]);
  }
});

test('a clock set back stays back when a VM that was not stable becomes so', () => {
  const vm = world();
  vm.host.keepTimeByTsc(false);
  vm.hypervisor.hostClocksourceChanged();
  vm.runAll();
  vm.host.advanceNs(1000n * SEC);
  vm.hypervisor.setClock({ clock: 3n * SEC, flags: 0 });
  vm.host.keepTimeByTsc(true);
  vm.hypervisor.hostClocksourceChanged();
  vm.runAll();
  assert.equal(vm.clock(0), 3n * SEC);
});

const isStopped = (vm: World, vcpu: number) => (vm.record(vcpu).flags & PVCLOCK_GUEST_STOPPED) !== 0;

test('kvmclockCtrl() shows in the record at once, in KVM only after the vCPU has run: a snapshot before lacks it', () => {
  for (const [flavour, atOnce] of [
    ['kvmclock', true],
    ['kvm', false],
    ['kvm-2015', false],
  ] as const) {
    const vm = world({ flavour });
    vm.hypervisor.kvmclockCtrl(1);
    assert.deepEqual([isStopped(vm, 0), isStopped(vm, 1)], [false, atOnce]);
    vm.run(1);
    assert.equal(isStopped(vm, 1), true);
  }
});

test('kvmclockCtrl() on a vCPU that is in the guest waits for it to come out', () => {
  const vm = world();
  vm.hypervisor.enter(1);
  vm.hypervisor.kvmclockCtrl(1);
  assert.equal(isStopped(vm, 1), false);
  vm.hypervisor.leave(1);
  vm.run(1);
  assert.equal(isStopped(vm, 1), true);
});

test('kvmclockCtrl() answers EINVAL where the guest keeps no record', () => {
  const stopped: WorldOptions = { enabled: false };
  assert.throws(() => world(stopped).hypervisor.kvmclockCtrl(0), { code: 'EINVAL' });
  const vm = world();
  vm.hypervisor.wrmsr(1, MSR_KVM_SYSTEM_TIME_NEW, 0n);
  assert.throws(() => vm.hypervisor.kvmclockCtrl(1), { code: 'EINVAL' });
});

test('a guest that was stopped is told once, also where its record could not be written at once', () => {
  const vm = world();
  const taken = () => vm.memory.fetchAndNot32(RECORDS + 28, PVCLOCK_GUEST_STOPPED << 8);
  vm.hypervisor.kvmclockCtrl(0);
  taken();
  vm.run(0);
  assert.equal(isStopped(vm, 0), false);
  const timeScale = vcpuWord(0, VCPU_WORDS.timeScale);
  const known = vm.memory.load64(timeScale);
  vm.memory.store64(timeScale, 0n);
  vm.hypervisor.kvmclockCtrl(0);
  assert.equal(isStopped(vm, 0), false);
  vm.memory.store64(timeScale, known);
  vm.run(0);
  assert.equal(isStopped(vm, 0), true);
});

test('the wall clock and the clock add up to the time of day, whatever the clock is off that of the host', () => {
  for (const flavour of ['kvmclock', 'kvm'] as const) {
    const vm = world({ flavour });
    vm.host.slew(-300_000n);
    vm.host.advanceNs(100n * SEC);
    vm.hypervisor.wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, 256n);
    const { sec, nsec } = decodeStruct(WALL_CLOCK_LAYOUT, vm.guest, 256);
    const { clock } = vm.hypervisor.getClock();
    assert.equal(BigInt(sec) * SEC + BigInt(nsec) + clock, vm.host.realtimeNs(), flavour);
    assert.equal(clock, vm.clock(0), flavour);
  }
});

test('GET_CLOCK goes by the line of the guest as long as that stands, though the host does not know its rate just now', () => {
  const vm = world();
  vm.host.slew(-300_000n);
  vm.host.advanceNs(100n * SEC);
  const { clock } = vm.hypervisor.getClock();
  vm.host.setTscHz(0n);
  assert.equal(vm.hypervisor.getClock().clock, clock);
});
