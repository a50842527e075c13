import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT } from '../../src/abi/pvti.ts';
import { PERIODIC_UPDATE_NS } from '../../src/hypervisor/host-events.ts';
import { REQUEST } from '../../src/hypervisor/request-bits.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from '../../src/hypervisor/words.ts';
import { type World, world } from './world.ts';

const SEC = 1_000_000_000n;
const requests = (vm: World, vcpu: number) => vm.memory.load32(vcpuWord(vcpu, VCPU_WORDS.requests));
const stable = (vm: World) => [0, 1].map((vcpu) => vm.record(vcpu).flags & PVCLOCK_TSC_STABLE_BIT);

/** The host leaves its TSC while both vCPUs are in the guest: what has happened by the time that the call returns. */
function clocksourceLost(flavour: 'kvmclock' | 'kvm') {
  const vm = world({ flavour });
  vm.kicks.length = 0;
  vm.host.keepTimeByTsc(false);
  if (flavour === 'kvm') for (const vcpu of [0, 1]) vm.hypervisor.enter(vcpu);
  vm.hypervisor.hostClocksourceChanged();
  return vm;
}

test('the host leaves its TSC: ours holds every vCPU out and ends stability at once, KVM kicks nobody', () => {
  const ours = clocksourceLost('kvmclock');
  assert.deepEqual(ours.kicks, [0, 1]);
  assert.equal(ours.record(0).flags, 0);
  const kvm = clocksourceLost('kvm');
  assert.deepEqual(kvm.kicks, []);
  assert.deepEqual(stable(kvm), [1, 1]);
  assert.deepEqual(
    [0, 1].map((vcpu) => requests(kvm, vcpu)),
    [REQUEST.MASTERCLOCK_UPDATE, REQUEST.MASTERCLOCK_UPDATE],
  );
});

test('the host leaves its TSC: KVM makes the whole update once a vCPU, ours once', () => {
  const updates = (flavour: 'kvmclock' | 'kvm') => {
    const vm = world({ flavour, vcpus: 8 });
    const sequence = () => vm.memory.load32(vmWord(VM_WORDS.sequence)) / 2;
    const before = sequence();
    vm.host.keepTimeByTsc(false);
    vm.hypervisor.hostClocksourceChanged();
    vm.runAll();
    return sequence() - before;
  };
  assert.equal(updates('kvm'), 8);
  assert.equal(updates('kvmclock'), 1);
});

test('a vCPU that moves to another processor changes nothing with a master clock, and asks for all records without', () => {
  for (const flavour of ['kvmclock', 'kvm'] as const) {
    const vm = world({ flavour });
    const tsc = vm.hypervisor.readTsc(1);
    vm.hypervisor.vcpuMoved(1, tsc - 12_345n);
    assert.deepEqual([requests(vm, 1), vm.hypervisor.readTsc(1)], [0, tsc]);
    vm.host.keepTimeByTsc(false);
    vm.hypervisor.hostClocksourceChanged();
    vm.runAll();
    vm.runAll();
    vm.hypervisor.vcpuMoved(1);
    assert.equal(requests(vm, 1), REQUEST.GLOBAL_CLOCK_UPDATE);
    vm.run(1);
    assert.equal(requests(vm, 0), REQUEST.CLOCK_UPDATE);
  }
});

test('a vCPU that moves where TSCs cannot be compared goes on from the TSC that it had, and is caught up', () => {
  const vm = world({ flavour: 'kvm', vcpus: 1 });
  vm.host.keepTimeByTsc(false);
  vm.hypervisor.hostClocksourceChanged();
  vm.run(0);
  const last = vm.hypervisor.readTsc(0);
  vm.host.advanceNs(1_000n);
  vm.host.sleep(0n, 17n); // the other processor's TSC
  vm.hypervisor.vcpuMoved(0, last);
  assert.equal(vm.hypervisor.readTsc(0), last);
  vm.run(0);
  assert.equal(vm.hypervisor.readTsc(0) - last, 2_000n);
});

test('a VM whose vCPUs moved where TSCs could not be compared is stable again once they can be and are set alike', () => {
  const vm = world();
  vm.host.keepTimeByTsc(false);
  vm.hypervisor.hostClocksourceChanged();
  vm.runAll();
  for (const vcpu of [0, 1]) vm.hypervisor.vcpuMoved(vcpu, vm.hypervisor.readTsc(vcpu) + BigInt(vcpu));
  for (const vcpu of [0, 1]) vm.hypervisor.setTscOffset(vcpu, 3n);
  vm.host.keepTimeByTsc(true);
  vm.hypervisor.hostClocksourceChanged();
  vm.runAll();
  assert.deepEqual(stable(vm), [0, 0]);
  for (const vcpu of [0, 1]) vm.hypervisor.setTscOffset(vcpu, 5n);
  vm.runAll();
  assert.deepEqual(stable(vm), [1, 1]);
});

/** The host sleeps for `sleptNs` and wakes with its TSC at `tsc`. */
function sleep(vm: World, sleptNs: bigint, tsc: bigint): void {
  vm.hypervisor.hostSuspending();
  vm.host.sleep(sleptNs, tsc);
  vm.hypervisor.hostResumed();
  vm.runAll();
  vm.runAll();
}

for (const [flavour, flags] of [
  ['kvmclock', 1],
  ['kvm', 0],
  ['kvm-2015', 0],
] as const) {
  test(`${flavour}: after a sleep that reset the host TSC the VM's TSC goes on, and its stable bit is ${flags}`, () => {
    const vm = world({ flavour });
    vm.host.advanceNs(100n * SEC);
    const tsc = vm.hypervisor.readTsc(0);
    const clock = vm.clock(0);
    sleep(vm, 3600n * SEC, 1000n);
    assert.deepEqual([vm.hypervisor.readTsc(0), vm.hypervisor.readTsc(1)], [tsc, tsc]);
    assert.deepEqual(stable(vm), [flags, flags]);
    for (const vcpu of [0, 1]) assert.equal(vm.clock(vcpu) - clock, 3600n * SEC);
    vm.host.advanceNs(SEC);
    vm.hypervisor.refresh();
    vm.runAll();
    assert.deepEqual(stable(vm), [flags, flags]);
  });
}

test('a host TSC that ran back ends the master clock of all VMs of the host in 2015, of the one today, of none in ours', () => {
  for (const [flavour, other] of [
    ['kvm-2015', 0],
    ['kvm', 1],
    ['kvmclock', 1],
  ] as const) {
    const host = { backwardsTscObserved: false };
    const slept = world({ flavour, host });
    const neighbour = world({ flavour, host });
    slept.host.advanceNs(SEC);
    sleep(slept, SEC, 0n);
    neighbour.hypervisor.refresh();
    neighbour.runAll();
    assert.equal(neighbour.record(0).flags, other);
  }
});

test('a sleep through which the host TSC counts on costs nobody the stable bit', () => {
  for (const flavour of ['kvmclock', 'kvm'] as const) {
    const vm = world({ flavour });
    vm.host.advanceNs(100n * SEC);
    const clock = vm.clock(1);
    sleep(vm, 50n * SEC, vm.host.tsc() + 100n * SEC);
    assert.deepEqual(stable(vm), [1, 1]);
    assert.equal(vm.clock(1) - clock, 50n * SEC);
  }
});

test('a wake-up that nobody announced is a refresh', () => {
  const vm = world({ hostHz: 2_593_992_345n });
  vm.host.advanceNs(3600n * SEC);
  const clock = vm.clock(0);
  vm.hypervisor.hostResumed();
  assert.equal(vm.clock(0), clock);
  assert.equal(vm.record(0).tscTimestamp, vm.hypervisor.readTsc(0));
});

for (const byTsc of [true, false]) {
  test(`a sleep passes for the VM to the nanosecond, whatever its clock was off the host's; the host by its TSC: ${byTsc}`, () => {
    const vm = world();
    vm.host.advanceNs(1000n * SEC);
    vm.host.keepTimeByTsc(byTsc);
    vm.hypervisor.hostClocksourceChanged();
    vm.host.slew(-300_000n);
    vm.host.advanceNs(100n * SEC);
    const { clock } = vm.hypervisor.getClock();
    vm.hypervisor.hostSuspending();
    vm.host.sleep(50n * SEC, 1000n);
    vm.hypervisor.hostResumed();
    assert.equal(vm.hypervisor.getClock().clock - clock, 50n * SEC);
    assert.equal(vm.clock(1, 0) - clock, 50n * SEC, 'record 0 is written when the call returns');
  });
}

test('a host TSC that came back lower unannounced throws nobody far ahead: the VM goes on by the host clock', () => {
  for (const flavour of ['kvmclock', 'kvm'] as const) {
    for (const notice of ['refresh', 'hostResumed'] as const) {
      const vm = world({ flavour });
      vm.host.advanceNs(100n * SEC);
      vm.hypervisor.refresh();
      vm.runAll();
      const [clock, tsc] = [vm.clock(0), vm.hypervisor.readTsc(0)];
      vm.host.sleep(SEC, 5n);
      vm.hypervisor[notice]();
      vm.runAll();
      assert.equal(vm.clock(0) - clock, SEC);
      assert.equal(vm.hypervisor.getClock().clock - clock, SEC);
      if (notice === 'hostResumed') assert.equal(vm.hypervisor.readTsc(0), tsc);
    }
  }
});

test('a TSC a few cycles behind the copy, as another processor may show it, is not taken for one far ahead', () => {
  const vm = world();
  vm.host.advanceNs(100n * SEC);
  vm.hypervisor.refresh();
  const { clock } = vm.hypervisor.getClock();
  vm.host.sleep(0n, vm.host.tsc() - 5n);
  assert.equal(vm.hypervisor.getClock().clock, clock);
  vm.hypervisor.refresh();
  assert.equal(vm.hypervisor.getClock().clock, clock);
});

test('every vCPU with a record learns that it was stopped when the host slept, since 2021', () => {
  for (const [flavour, stopped] of [
    ['kvmclock', PVCLOCK_GUEST_STOPPED],
    ['kvm', PVCLOCK_GUEST_STOPPED],
    ['kvm-2015', 0],
  ] as const) {
    const vm = world({ flavour });
    sleep(vm, SEC, vm.host.tsc());
    for (const vcpu of [0, 1]) assert.equal(vm.record(vcpu).flags & PVCLOCK_GUEST_STOPPED, stopped);
  }
});

test('tick() does what the flavours before 6.19 put off: other vCPUs after 100 ms, all every 300 s', () => {
  const vm = world({ flavour: 'kvm-2015' });
  vm.host.advanceNs(SEC);
  vm.hypervisor.tick();
  vm.runAll();
  const version = vm.record(0).version;
  vm.host.advanceNs(PERIODIC_UPDATE_NS - SEC);
  vm.hypervisor.tick();
  vm.runAll();
  assert.equal(vm.record(0).version, version);
  vm.host.advanceNs(SEC);
  vm.hypervisor.tick();
  vm.runAll();
  assert.equal(vm.record(0).version, version + 2);
});

test('tick() has nothing to do today', () => {
  const vm = world({ flavour: 'kvm' });
  vm.host.advanceNs(PERIODIC_UPDATE_NS);
  vm.hypervisor.tick();
  assert.deepEqual([requests(vm, 0), requests(vm, 1)], [0, 0]);
});
