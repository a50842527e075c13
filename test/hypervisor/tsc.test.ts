import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MSR_IA32_TSC, MSR_IA32_TSC_ADJUST } from '../../src/abi/msr.ts';
import { VM_WORDS, vmWord } from '../../src/hypervisor/words.ts';
import { TSC_WRITE_VECTORS } from '../vectors/tsc-writes.ts';
import { type World, type WorldOptions, world } from './world.ts';

const generation = (vm: World) => vm.memory.load32(vmWord(VM_WORDS.tscGeneration));
const matched = (vm: World) => vm.memory.load32(vmWord(VM_WORDS.matchedVcpus));

test('vCPUs are created in one generation, at one offset', () => {
  for (const flavour of ['kvmclock', 'kvm', 'kvm-2015', 'kvm-2014'] as const) {
    const vm = world({ flavour, vcpus: 4 });
    assert.deepEqual([generation(vm), matched(vm)], [1, 3]);
    assert.equal(new Set([0, 1, 2, 3].map((vcpu) => vm.hypervisor.tscOffset(vcpu))).size, 1);
  }
});

for (const vector of TSC_WRITE_VECTORS) {
  const { flavour, first, afterNs, second, same, userFirst } = vector;
  const history = `TSC ${first}, ${afterNs} ns later ${second}${userFirst ? '' : ', the first ever'}`;
  test(`${flavour}: ${history} ${same ? 'means the same' : 'begins a generation'}`, () => {
    const vm = world({ flavour, hostHz: 1_000_000_000n });
    if (userFirst) vm.hypervisor.writeTsc(0, first);
    const before = generation(vm);
    vm.host.advanceNs(afterNs);
    vm.hypervisor.writeTsc(1, second);
    assert.equal(generation(vm) === before, same);
    if (same) assert.equal(vm.hypervisor.tscOffset(1), vm.hypervisor.tscOffset(0));
    else assert.equal(vm.hypervisor.readTsc(1), second);
  });
}

test('a vCPU joins a generation once, however often it writes', () => {
  const vm = world({ flavour: 'kvm', vcpus: 3, hostHz: 1_000_000_000n });
  vm.hypervisor.writeTsc(0, 5_000_000_000_000n);
  assert.deepEqual([generation(vm), matched(vm)], [2, 0]);
  for (let i = 0; i < 3; i++) vm.hypervisor.writeTsc(1, 5_000_000_000_000n);
  assert.equal(matched(vm), 1);
  vm.runAll();
  assert.equal(vm.record(0).flags, 0);
  vm.hypervisor.writeTsc(2, 5_000_000_000_000n);
  assert.equal(matched(vm), 2);
  vm.runAll();
  vm.runAll();
  assert.equal(vm.record(0).flags, 1);
});

test('where the host TSC cannot be trusted a matching write counts the time since, as offsets do not compare', () => {
  const vm = world({ flavour: 'kvm', hostHz: 1_000_000_000n });
  vm.host.keepTimeByTsc(false);
  vm.hypervisor.writeTsc(0, 1_000_000n);
  vm.host.advanceNs(300n);
  vm.hypervisor.writeTsc(1, 1_000_000n);
  assert.equal(vm.hypervisor.readTsc(1), 1_000_300n);
});

test('setTscOffset() matches only the offset that was set last', () => {
  const vm = world({ flavour: 'kvm' });
  vm.hypervisor.setTscOffset(0, 77n);
  assert.deepEqual([generation(vm), matched(vm)], [2, 0]);
  vm.hypervisor.setTscOffset(1, 77n);
  assert.deepEqual([generation(vm), matched(vm)], [2, 1]);
  assert.equal(vm.hypervisor.readTsc(1), vm.host.tsc() + 77n);
  vm.hypervisor.setTscOffset(1, -5n);
  assert.deepEqual([generation(vm), matched(vm)], [3, 0]);
  assert.equal(vm.hypervisor.tscOffset(1), (1n << 64n) - 5n);
});

test('TSC and TSC_ADJUST follow each other in a guest, and not in a VMM', () => {
  const vm = world({ flavour: 'kvm' });
  const { hypervisor } = vm;
  const read = (msr: number) => hypervisor.rdmsr(1, msr);
  const before = read(MSR_IA32_TSC)!;
  hypervisor.wrmsr(1, MSR_IA32_TSC, before + 1000n);
  assert.equal(read(MSR_IA32_TSC_ADJUST), 1000n);
  hypervisor.wrmsr(1, MSR_IA32_TSC_ADJUST, 400n);
  assert.equal(read(MSR_IA32_TSC), before + 400n);
  hypervisor.wrmsr(1, MSR_IA32_TSC_ADJUST, 7n, 'host');
  assert.equal(read(MSR_IA32_TSC), before + 400n);
  hypervisor.wrmsr(1, MSR_IA32_TSC, 64n << 30n, 'host');
  assert.equal(read(MSR_IA32_TSC_ADJUST), 7n);
  assert.equal(read(MSR_IA32_TSC), 64n << 30n);
});

/** After a guest's write to vCPU 1's TSC: what its record makes of it, against what it was. */
function errorAfterGuestWrite(options: WorldOptions): { error: bigint; flags: number[] } {
  const vm = world(options);
  const before = vm.clock(1);
  vm.hypervisor.wrmsr(1, MSR_IA32_TSC, vm.hypervisor.readTsc(1) + 2_000_000n);
  vm.runAll();
  vm.runAll();
  return { error: vm.clock(1) - before, flags: [vm.record(0).flags, vm.record(1).flags] };
}

test("a guest's own TSC write leaves its record right, and the VM unstable, but in KVM", () => {
  assert.deepEqual(errorAfterGuestWrite({ flavour: 'kvmclock' }), { error: 0n, flags: [0, 0] });
  assert.deepEqual(errorAfterGuestWrite({ flavour: 'kvm' }), { error: 1_000_000n, flags: [1, 1] });
});

test('a TSC moved away and back is stable again where TSCs are compared', () => {
  for (const [flavour, flags] of [
    ['kvmclock', 1],
    ['kvm', 0],
  ] as const) {
    const vm = world({ flavour });
    const offset = vm.hypervisor.tscOffset(1);
    vm.hypervisor.setTscOffset(1, offset + 99n);
    vm.runAll();
    vm.hypervisor.setTscOffset(1, offset);
    vm.runAll();
    vm.runAll();
    assert.equal(vm.record(0).flags, flags);
  }
});

/** How many updates the VM makes while `vcpus` vCPUs are plugged in one after the other. */
function refreshesOnHotplug(flavour: 'kvmclock' | 'kvm' | 'kvm-2015'): number {
  const vm = world({ flavour, vcpus: 5, created: 1 });
  const sequence = () => vm.memory.load32(vmWord(VM_WORDS.sequence)) / 2;
  const before = sequence();
  for (let vcpu = 1; vcpu < 5; vcpu++) {
    vm.host.advanceNs(1_000_000n);
    vm.hypervisor.createVcpu(vcpu);
    vm.run(vcpu);
  }
  return sequence() - before;
}

test('plugging vCPUs in refreshes the clock in 2015, and no longer', () => {
  assert.equal(refreshesOnHotplug('kvm-2015'), 4);
  assert.equal(refreshesOnHotplug('kvm'), 0);
  assert.equal(refreshesOnHotplug('kvmclock'), 0);
});

test('the rule of 2015 holds for a TSC of less than a kHz too', () => {
  const vm = world({ flavour: 'kvm-2015', tscScaling: true });
  vm.hypervisor.setTscHz(1, 10n);
  for (const tsc of [5n, 6n, 16n, 17n]) vm.hypervisor.writeTsc(1, tsc);
  const generation = () => vm.memory.load32(vmWord(VM_WORDS.tscGeneration));
  const before = generation();
  vm.hypervisor.writeTsc(1, 26n);
  assert.equal(generation(), before, 'within a second');
  vm.hypervisor.writeTsc(1, 36n);
  assert.equal(generation(), before + 1, 'a second away');
});

test('a guest that writes one value to its TSCs one after the other has them alike in 2015, and not since', () => {
  for (const [flavour, apart] of [
    ['kvm-2015', 0n],
    ['kvm', 2_000n],
    ['kvmclock', 2_000n],
  ] as const) {
    const vm = world({ flavour });
    for (const vcpu of [0, 1]) {
      vm.hypervisor.wrmsr(vcpu, MSR_IA32_TSC, 7_000_000_000_000n);
      vm.host.advanceNs(1_000n);
    }
    assert.equal(vm.hypervisor.readTsc(0) - vm.hypervisor.readTsc(1), apart, flavour);
  }
});

test('a TSC that is to match where TSCs cannot be compared goes on from the time since the last write', () => {
  for (const flavour of ['kvmclock', 'kvm', 'kvm-2015'] as const) {
    const vm = world({ flavour });
    vm.host.keepTimeByTsc(false);
    vm.hypervisor.hostClocksourceChanged();
    vm.hypervisor.writeTsc(0, 9_000_000_000n);
    vm.host.sleep(1_000n, 17n); // another processor's TSC
    vm.hypervisor.writeTsc(1, 9_000_000_000n);
    assert.equal(vm.hypervisor.readTsc(1), 9_000_002_000n, flavour);
  }
});
