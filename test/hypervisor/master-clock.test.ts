import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW } from '../../src/abi/msr.ts';
import { PVCLOCK_TSC_STABLE_BIT } from '../../src/abi/pvti.ts';
import type { Stability } from '../../src/hypervisor/events.ts';
import { VM_WORDS, vmWord } from '../../src/hypervisor/words.ts';
import { RECORDS, type World, world } from './world.ts';

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

  test(`${flavour}: the host gives its TSC up as a clocksource and takes it back, of which KVM hears at its next update`, () => {
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
    const heard = flavour === 'kvmclock' ? 1 : 0;
    assert.deepEqual([vm.record(0).flags, vm.record(1).flags], [heard, heard]);
    vm.hypervisor.refresh();
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

/** What ends the master clock, and what gives it back: each is one arm of the state machine. */
interface Reason {
  readonly says: Stability;
  begin(vm: World): void;
  end(vm: World): void;
}

const clocksource = (byTsc: boolean) => (vm: World) => {
  vm.host.keepTimeByTsc(byTsc);
  vm.hypervisor.refresh();
};
const oldMsr = (msr: number) => (vm: World) => void vm.hypervisor.wrmsr(0, msr, BigInt(RECORDS) | 1n);
const offsets = (apart: bigint) => (vm: World) => {
  for (const vcpu of [0, 1]) vm.hypervisor.setTscOffset(vcpu, 1000n + apart * BigInt(vcpu));
};
const hostRate = (hz: bigint) => (vm: World) => {
  vm.host.setTscHz(hz);
  vm.hypervisor.hostRateChanged();
};
const rates =
  (...hz: readonly bigint[]) =>
  (vm: World) => {
    hz.forEach((rate, vcpu) => {
      vm.hypervisor.setTscHz(vcpu, rate);
    });
  };

const HZ = 2_000_000_000n;
const REASONS: Record<'kvm' | 'kvmclock', readonly Reason[]> = {
  kvm: [
    { says: 'the host does not keep time by its TSC', begin: clocksource(false), end: clocksource(true) },
    { says: 'vCPU 0 uses the old MSR', begin: oldMsr(MSR_KVM_SYSTEM_TIME), end: oldMsr(MSR_KVM_SYSTEM_TIME_NEW) },
    { says: 'the TSCs of the vCPUs differ', begin: offsets(1n), end: offsets(0n) },
  ],
  kvmclock: [
    { says: 'the host does not keep time by its TSC', begin: clocksource(false), end: clocksource(true) },
    { says: 'vCPU 0 uses the old MSR', begin: oldMsr(MSR_KVM_SYSTEM_TIME), end: oldMsr(MSR_KVM_SYSTEM_TIME_NEW) },
    { says: 'the TSC rate is not known', begin: hostRate(0n), end: hostRate(HZ) },
    { says: 'the TSC of a vCPU has to be caught up', begin: rates(2n * HZ, 2n * HZ), end: rates(HZ, HZ) },
    { says: 'the TSCs of the vCPUs differ', begin: offsets(1n), end: offsets(0n) },
  ],
};

/** As many turns as it takes: a vCPU whose rate is not known stays out. */
function settle(vm: World): void {
  for (let turn = 0; turn < 6; turn++) if (vm.hypervisor.tryEnter(turn % 2)) vm.hypervisor.leave(turn % 2);
}

for (const flavour of ['kvmclock', 'kvm'] as const) {
  test(`${flavour}: every reason ends the master clock, and its end gives it back, alone and beside every other`, () => {
    for (const one of REASONS[flavour]) {
      for (const other of REASONS[flavour]) {
        const vm = world({ flavour });
        const isStable = () => vm.memory.load32(vmWord(VM_WORDS.useMasterClock)) === 1;
        for (const [step, stable] of [
          [one.begin, false],
          [other.begin, false],
          [one.end, one === other],
          [other.end, true],
        ] as const) {
          step(vm);
          settle(vm);
          assert.equal(isStable(), stable, `${one.says}, ${other.says}: ${vm.stability.at(-1)}`);
          if (step === one.begin) assert.equal(vm.stability.at(-1), one.says);
        }
        assert.deepEqual([vm.record(0).flags, vm.record(1).flags], [1, 1]);
      }
    }
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
    if (flavour === 'kvm') vm.hypervisor.refresh();
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
