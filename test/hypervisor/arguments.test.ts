import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MSR_IA32_TSC, MSR_KVM_SYSTEM_TIME_NEW } from '../../src/abi/msr.ts';
import type { KvmHypervisor } from '../../src/hypervisor/kvm.ts';
import { type World, world } from './world.ts';

const SEC = 1_000_000_000n;
const LINE = { tscTimestamp: 0n, systemTime: 0n, tscToSystemMul: 1, tscShift: 0 };

/** Every call that names a vCPU. */
const CALLS: Record<string, (hypervisor: KvmHypervisor, vcpu: number) => unknown> = {
  enter: (hypervisor, vcpu) => hypervisor.enter(vcpu),
  tryEnter: (hypervisor, vcpu) => hypervisor.tryEnter(vcpu),
  leave: (hypervisor, vcpu) => hypervisor.leave(vcpu),
  wrmsr: (hypervisor, vcpu) => hypervisor.wrmsr(vcpu, MSR_IA32_TSC, 0n),
  rdmsr: (hypervisor, vcpu) => hypervisor.rdmsr(vcpu, MSR_IA32_TSC),
  getClockGuest: (hypervisor, vcpu) => hypervisor.getClockGuest(vcpu),
  setClockGuest: (hypervisor, vcpu) => hypervisor.setClockGuest(vcpu, LINE),
  kvmclockCtrl: (hypervisor, vcpu) => hypervisor.kvmclockCtrl(vcpu),
  readTsc: (hypervisor, vcpu) => hypervisor.readTsc(vcpu),
  writeTsc: (hypervisor, vcpu) => hypervisor.writeTsc(vcpu, 0n),
  tscOffset: (hypervisor, vcpu) => hypervisor.tscOffset(vcpu),
  setTscOffset: (hypervisor, vcpu) => hypervisor.setTscOffset(vcpu, 0n),
  tscHz: (hypervisor, vcpu) => hypervisor.tscHz(vcpu),
  setTscHz: (hypervisor, vcpu) => hypervisor.setTscHz(vcpu, SEC),
  vcpuMoved: (hypervisor, vcpu) => hypervisor.vcpuMoved(vcpu),
};

/** It can still be asked, set and run: no lock was left behind. */
function isUsable(vm: World): boolean {
  vm.hypervisor.setClock({ clock: 5n * SEC, flags: 0 });
  vm.runAll();
  vm.runAll();
  return vm.hypervisor.getClock().clock === 5n * SEC && vm.clock(0) === 5n * SEC;
}

for (const [name, call] of Object.entries(CALLS)) {
  test(`${name}() refuses a vCPU that the VM has not, and one that does not exist yet`, () => {
    const vm = world({ vcpus: 2, created: 1 });
    for (const vcpu of [-1, 2, 0.5, Number.NaN]) {
      assert.throws(() => call(vm.hypervisor, vcpu), /^RangeError: vCPU \S+: this VM has vCPUs 0 to 1$/);
    }
    assert.throws(() => call(vm.hypervisor, 1), /^RangeError: vCPU 1: it does not exist yet/);
    assert.ok(isUsable(vm));
  });
}

test('what is no u64 is refused by name rather than cut', () => {
  const vm = world();
  const { hypervisor } = vm;
  const line = hypervisor.getClockGuest(0);
  for (const bad of [-1n, 1n << 64n, 5 as unknown as bigint, undefined as unknown as bigint]) {
    for (const call of [
      () => hypervisor.wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, bad),
      () => hypervisor.writeTsc(0, bad),
      () => hypervisor.setClock({ clock: bad, flags: 0 }),
      () => hypervisor.setClock({ clock: 0n, flags: 4, realtime: bad }),
      () => hypervisor.setClockGuest(0, { ...line, systemTime: bad }),
      () => hypervisor.setClockGuest(0, { ...line, tscTimestamp: bad }),
    ]) {
      assert.throws(call, /^RangeError: [A-Z_]+.*: \S+ is not a bigint from 0 to 2\^64-1$/);
    }
  }
  assert.ok(isUsable(vm));
});

test('setClock() takes no flags that are not a u32', () => {
  const vm = world();
  for (const flags of [2 ** 32, 2 ** 33 + 2, -2, 2.5, Number.NaN]) {
    assert.throws(() => vm.hypervisor.setClock({ clock: 0n, flags }), { code: 'EINVAL' });
  }
  assert.ok(isUsable(vm));
});

test('setClockGuest() takes no line whose pair is not of whole numbers', () => {
  const vm = world();
  const line = vm.hypervisor.getClockGuest(0);
  for (const bad of [{ tscToSystemMul: 1.5 }, { tscToSystemMul: 2 ** 32 }, { tscToSystemMul: -1 }, { tscShift: 0.5 }]) {
    assert.throws(() => vm.hypervisor.setClockGuest(0, { ...line, ...bad }), {
      code: 'EINVAL',
      message: /a line with/,
    });
  }
  assert.ok(isUsable(vm));
});

test('hostRateChanged() to what is no rate changes nothing', () => {
  for (const flavour of ['kvmclock', 'kvm'] as const) {
    const vm = world({ flavour });
    for (const hz of [-5n, 1n << 64n]) {
      vm.host.setTscHz(hz);
      assert.throws(() => vm.hypervisor.hostRateChanged(), /^RangeError: the host clock's tscHz\(\): /);
    }
    vm.host.setTscHz(2n * SEC);
    assert.ok(isUsable(vm));
  }
});

test('a VM whose rate has become unknown still says what its clock reads, in KVM by the clock of the host', () => {
  for (const flavour of ['kvmclock', 'kvm'] as const) {
    const vm = world({ flavour, vcpus: 1 });
    vm.host.advanceNs(SEC);
    const before = vm.hypervisor.getClock().clock;
    vm.host.setTscHz(0n);
    assert.equal(vm.hypervisor.getClock().clock, before);
    vm.host.setTscHz(2n * SEC);
    assert.ok(isUsable(vm));
  }
});
