import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLAVOURS } from '../../src/hypervisor/flavours.ts';
import { createHypervisor } from '../../src/hypervisor/hypervisor.ts';
import { attachKvm } from '../../src/hypervisor/kvm.ts';
import { POLICIES } from '../../src/hypervisor/policy.ts';
import { ScriptedHost } from '../../src/hypervisor/scripted-host.ts';
import { createWords, sharedMemory } from '../../src/hypervisor/shared-memory.ts';
import { VCPU_BYTES, VCPU_WORDS, VM_BYTES, VM_WORDS } from '../../src/hypervisor/words.ts';
import { enable, world } from './world.ts';

const hostClock = new ScriptedHost({ tscHz: 2_000_000_000n });
const memoryFor = (vcpus: number) =>
  sharedMemory({ memory: new SharedArrayBuffer(4096), words: createWords(vcpus), hostClock });

test('createHypervisor() is ours unless told otherwise', () => {
  const { vm } = createHypervisor({ memory: memoryFor(1), vcpus: 1, hostClock });
  assert.equal(vm.flavour, FLAVOURS.kvmclock);
  assert.deepEqual(vm.setup.policy, POLICIES.kvmclock);
  const { freeze, base, writer } = POLICIES.kvmclock;
  assert.deepEqual({ freeze, base, writer }, { freeze: 'record0', base: 'continuous', writer: 'today' });
});

test('createHypervisor() takes a flavour of your own', () => {
  const flavour = { ...FLAVOURS.kvm, policy: { ...POLICIES.kvm, freeze: 'all' as const } };
  const { vm } = createHypervisor({ memory: memoryFor(1), vcpus: 1, hostClock, flavour });
  assert.equal(vm.setup.policy.freeze, 'all');
});

test('createHypervisor() refuses options that cannot be, and says what is wrong', () => {
  const memory = memoryFor(2);
  for (const vcpus of [0, -1, 1.5, Number.NaN]) {
    assert.throws(() => createHypervisor({ memory, vcpus, hostClock }), { name: 'RangeError', message: /^vcpus: / });
  }
  for (const created of [0, 3])
    assert.throws(() => createHypervisor({ memory, vcpus: 2, created, hostClock }), /^RangeError: created: /);
  for (const flavour of ['kvm-1999', 'toString'] as string[] as 'kvm'[]) {
    assert.throws(
      () => createHypervisor({ memory, vcpus: 2, hostClock, flavour }),
      /known are kvmclock, kvm, kvm-2015, kvm-2014, xen/,
    );
  }
  assert.throws(() => createHypervisor({ memory, vcpus: 0, hostClock, flavour: 'xen' }), /^RangeError: vcpus: /);
});

test('createHypervisor() refuses memory that is none, too few words, and the words of a VM that runs', () => {
  const memory = memoryFor(2);
  const buffer = new SharedArrayBuffer(4096) as unknown as typeof memory;
  assert.throws(() => createHypervisor({ memory: buffer, vcpus: 1, hostClock }), /^RangeError: memory: give what/);
  assert.throws(() => createHypervisor({ memory, vcpus: 3, hostClock }), /^RangeError: words: too few/);
  assert.throws(() => createHypervisor({ memory, vcpus: 3, hostClock, flavour: 'xen' }), /^RangeError: words: too few/);
  const running = createHypervisor({ memory, vcpus: 2, hostClock });
  running.setClock({ clock: 77n, flags: 0 });
  assert.throws(() => createHypervisor({ memory, vcpus: 2, hostClock }), /^RangeError: words: they are those of a VM/);
  assert.equal(running.getClock().clock, 77n);
});

test('createHypervisor() refuses a TSC rate that is none, or that this host cannot give', () => {
  for (const tscHz of [0n, -1n, 1n << 64n, 5n]) {
    const make = () => createHypervisor({ memory: memoryFor(1), vcpus: 1, hostClock, tscHz });
    assert.throws(make, { code: 'EINVAL', message: /TSC rate of vCPU 0: -?\d+ Hz is / });
  }
});

test('createVcpu() refuses a vCPU that exists, or cannot', () => {
  const vm = world({ vcpus: 2, created: 1 });
  assert.throws(() => vm.hypervisor.createVcpu(0), /it exists already/);
  assert.throws(() => vm.hypervisor.createVcpu(2), /this VM has vCPUs 0 to 1/);
  vm.hypervisor.createVcpu(1);
});

test('a second object over the same words is the same VM', () => {
  const first = world({ enabled: false });
  const second = attachKvm({ memory: first.memory, vcpus: 2, hostClock: first.host });
  enable(first, 1);
  second.enter(1);
  second.leave(1);
  assert.notEqual(first.record(1).version, 0);
  second.setClock({ clock: 5n, flags: 0 });
  assert.equal(first.hypervisor.getClock().clock, 5n);
});

test('no two words overlap, and all lie within their block', () => {
  const u32 = new Set([
    'lock',
    'sequence',
    'useMasterClock',
    'onlineVcpus',
    'matchedVcpus',
    'tscGeneration',
    'userSetTsc',
  ]);
  for (const name of ['backwardsTscObserved', 'bootVcpuRunsOldKvmclock', 'hypervSequence']) u32.add(name);
  for (const name of ['requests', 'mode', 'recordLock', 'hostVersion', 'created', 'alwaysCatchUp']) u32.add(name);
  for (const [table, bytes] of [
    [VM_WORDS, VM_BYTES],
    [VCPU_WORDS, VCPU_BYTES],
  ] as const) {
    const taken = new Map<number, string>();
    for (const [name, at] of Object.entries(table)) {
      const width = u32.has(name) ? 4 : 8;
      assert.equal(at % width, 0, name);
      assert.ok(at + width <= bytes, name);
      if (name === 'secondaryRecord') continue; // Xen's, in place of another
      for (let byte = at; byte < at + width; byte++) {
        assert.equal(taken.get(byte), undefined, `${name} and ${taken.get(byte)}`);
        taken.set(byte, name);
      }
    }
  }
});
