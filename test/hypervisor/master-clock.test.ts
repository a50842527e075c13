import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW } from '../../src/abi/msr.ts';
import { PVCLOCK_TSC_STABLE_BIT } from '../../src/abi/pvti.ts';
import { RECORDS, world } from './world.ts';

const FLAVOURS = ['kvmclock', 'kvm', 'kvm-2015', 'kvm-2014'] as const;

for (const flavour of FLAVOURS) {
  test(`a new VM of flavour ${flavour} becomes stable, reads about zero, and counts as the host does`, () => {
    const vm = world({ flavour });
    assert.deepEqual(vm.stability, ['stable']);
    for (const vcpu of [0, 1]) assert.equal(vm.record(vcpu).flags, PVCLOCK_TSC_STABLE_BIT);
    const start = vm.clock(0);
    assert.ok(start >= 0n && start < 1000n);
    vm.host.advanceNs(1_000_000_000n);
    assert.equal(vm.clock(0) - start, 1_000_000_000n);
    assert.equal(vm.clock(1), vm.clock(0));
  });

  test(`${flavour}: the host gives its TSC up as a clocksource, and takes it back`, () => {
    const vm = world({ flavour });
    vm.host.keepTimeByTsc(false);
    vm.hypervisor.hostClocksourceChanged();
    vm.runAll();
    vm.runAll();
    assert.deepEqual([vm.record(0).flags, vm.record(1).flags], [0, 0]);
    vm.host.keepTimeByTsc(true);
    vm.hypervisor.hostClocksourceChanged();
    vm.runAll();
    vm.runAll();
    assert.deepEqual([vm.record(0).flags, vm.record(1).flags], [1, 1]);
    assert.equal(vm.stability[1], 'the host does not keep time by its TSC');
    assert.equal(vm.stability.at(-1), 'stable');
  });

  test(`${flavour}: a TSC that differs ends stability, and setting it like the other gives it back`, () => {
    const vm = world({ flavour });
    const same = vm.hypervisor.tscOffset(0);
    vm.hypervisor.setTscOffset(1, same + 1n);
    vm.runAll();
    vm.runAll();
    assert.deepEqual([vm.record(0).flags, vm.record(1).flags], [0, 0]);
    assert.equal(vm.stability.at(-1), 'the TSCs of the vCPUs differ');
    for (const vcpu of [0, 1]) vm.hypervisor.setTscOffset(vcpu, same);
    vm.runAll();
    vm.runAll();
    assert.deepEqual([vm.record(0).flags, vm.record(1).flags], [1, 1]);
  });
}

test('a vCPU that has not joined yet keeps the clock of KVM unstable until it does', () => {
  const vm = world({ flavour: 'kvm', vcpus: 2, created: 1 });
  assert.equal(vm.record(0).flags, 1);
  vm.hypervisor.createVcpu(1);
  vm.runAll();
  assert.equal(vm.record(0).flags, 1);
  assert.equal(vm.hypervisor.tscOffset(1), vm.hypervisor.tscOffset(0));
});

for (const [flavour, stable] of [
  ['kvmclock', 0],
  ['kvm', 0],
  ['kvm-2015', 0],
  ['kvm-2014', 1],
] as const) {
  test(`${flavour}: vCPU 0 on the old MSR leaves the stable bit ${stable}, the new MSR sets it again`, () => {
    const vm = world({ flavour });
    vm.hypervisor.wrmsr(0, MSR_KVM_SYSTEM_TIME, BigInt(RECORDS) | 1n);
    vm.runAll();
    vm.runAll();
    assert.deepEqual([vm.record(0).flags, vm.record(1).flags], [stable, stable]);
    vm.hypervisor.wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, BigInt(RECORDS) | 1n);
    vm.runAll();
    vm.runAll();
    assert.deepEqual([vm.record(0).flags, vm.record(1).flags], [1, 1]);
  });

  test(`${flavour}: the old MSR on another vCPU, or by the VMM, changes nothing`, () => {
    const vm = world({ flavour });
    vm.hypervisor.wrmsr(1, MSR_KVM_SYSTEM_TIME, BigInt(RECORDS + 64) | 1n);
    vm.hypervisor.wrmsr(0, MSR_KVM_SYSTEM_TIME, BigInt(RECORDS) | 1n, 'host');
    vm.runAll();
    vm.runAll();
    assert.deepEqual([vm.record(0).flags, vm.record(1).flags], [1, 1]);
  });
}

test('a continuous refresh neither jumps by more than a nanosecond nor steps back, a refresh of KVM jumps', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 500_000_000n, max: 5_000_000_000n }),
      fc.bigInt({ min: 1n, max: 10n ** 13n }),
      (hz, ns) => {
        const vm = world({ hostHz: hz });
        vm.host.advanceNs(ns);
        const before = vm.clock(0);
        vm.hypervisor.refresh();
        const after = vm.clock(0);
        assert.equal(after, before);
      },
    ),
  );
  const kvm = world({ flavour: 'kvm', hostHz: 2_593_992_345n });
  kvm.host.advanceNs(3_600_000_000_000n);
  const before = kvm.clock(0);
  kvm.hypervisor.refresh();
  kvm.runAll();
  assert.ok(kvm.clock(0) < before, 'the rate was cut to a kHz, so the line ran fast and the refresh steps back');
});

/** Readings of both vCPUs, one after the other, while the VM stops being stable and is again: how many are lower than one before. */
function stepsBackOverChanges(flavour: 'kvmclock' | 'kvm'): number {
  const vm = world({ flavour, hostHz: 2_593_992_345n });
  let [last, stepsBack] = [0n, 0];
  const look = () => {
    for (const vcpu of [0, 1]) {
      const now = vm.clock(vcpu);
      if (now < last) stepsBack++;
      last = now;
    }
  };
  for (let round = 0; round < 20; round++) {
    vm.host.advanceNs(7_000_000_123n);
    look();
    vm.host.keepTimeByTsc(round % 2 === 1);
    vm.hypervisor.hostClocksourceChanged();
    vm.runAll();
    look();
  }
  assert.equal(vm.stability.length, 21);
  return stepsBack;
}

test('the clock does not step back where a continuous VM stops being stable, nor where it is again; KVM steps back', () => {
  assert.equal(stepsBackOverChanges('kvmclock'), 0);
  assert.ok(stepsBackOverChanges('kvm') > 0);
});
