import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MSR_KVM_SYSTEM_TIME,
  MSR_KVM_SYSTEM_TIME_NEW,
  MSR_KVM_WALL_CLOCK,
  MSR_KVM_WALL_CLOCK_NEW,
} from '../../src/abi/msr.ts';
import { decodePvti } from '../../src/abi/pvti.ts';
import { decodeStruct } from '../../src/abi/struct.ts';
import { WALL_CLOCK_LAYOUT } from '../../src/abi/wall-clock.ts';
import { HYPERVISOR_WORDS } from '../../src/hypervisor/cpu.ts';
import { enable, MEMORY_BYTES, RECORDS, world } from './world.ts';

test('the record is valid by the time WRMSR has retired and the vCPU runs again', () => {
  for (const flavour of ['kvmclock', 'kvm', 'kvm-2015', 'kvm-2014'] as const) {
    const vm = world({ flavour, enabled: false });
    vm.run(0);
    assert.equal(vm.record(0).version, 0);
    enable(vm, 0);
    vm.hypervisor.enter(0);
    const { version, tscToSystemMul } = vm.record(0);
    assert.ok(version > 0 && version % 2 === 0);
    assert.notEqual(tscToSystemMul, 0);
  }
});

test('the old and the new number of a register are one state', () => {
  const vm = world({ enabled: false });
  const { hypervisor } = vm;
  assert.equal(hypervisor.wrmsr(1, MSR_KVM_SYSTEM_TIME, 4097n), 'done');
  assert.equal(hypervisor.rdmsr(1, MSR_KVM_SYSTEM_TIME_NEW), 4097n);
  hypervisor.wrmsr(1, MSR_KVM_SYSTEM_TIME_NEW, 8193n);
  assert.equal(hypervisor.rdmsr(1, MSR_KVM_SYSTEM_TIME), 8193n);
  hypervisor.wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, 256n);
  assert.equal(hypervisor.rdmsr(1, MSR_KVM_WALL_CLOCK), 256n);
});

test('a value without the enable bit stops the updates', () => {
  const vm = world();
  const before = vm.record(1);
  vm.hypervisor.wrmsr(1, MSR_KVM_SYSTEM_TIME_NEW, BigInt(RECORDS + 64));
  vm.host.advanceNs(1_000_000n);
  vm.hypervisor.refresh();
  vm.runAll();
  assert.deepEqual(vm.record(1), before);
  assert.equal(vm.hypervisor.rdmsr(1, MSR_KVM_SYSTEM_TIME_NEW), BigInt(RECORDS + 64));
  vm.hypervisor.wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, 0n);
  const record0 = vm.record(0);
  vm.hypervisor.refresh();
  assert.deepEqual(vm.record(0), record0);
});

test('a guest that moves its record has it in the new place', () => {
  const vm = world();
  const before = vm.record(0);
  vm.hypervisor.wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, 8192n | 1n);
  vm.run(0);
  vm.hypervisor.refresh();
  assert.deepEqual(vm.record(0), before);
  assert.equal(decodePvti(vm.guest, 8192).flags, 1);
});

test('registers that are not offered are refused, those of others are unknown', () => {
  const vm = world({ enabled: false, features: 1 << 3 });
  assert.equal(vm.hypervisor.wrmsr(0, MSR_KVM_SYSTEM_TIME, 4097n), 'refused');
  assert.equal(vm.hypervisor.wrmsr(0, MSR_KVM_WALL_CLOCK, 4096n), 'refused');
  assert.equal(vm.hypervisor.rdmsr(0, MSR_KVM_SYSTEM_TIME), undefined);
  assert.equal(vm.hypervisor.wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, 4097n), 'done');
  assert.equal(vm.hypervisor.wrmsr(0, 0xc000_0080, 1n), 'unknown');
  assert.equal(vm.hypervisor.wrmsr(0, 0x4000_0021, 1n), 'unknown');
  assert.equal(vm.hypervisor.rdmsr(0, 0xc000_0080), undefined);
});

for (const [name, address, problem, outcomes] of [
  ['across two pages', 8192 - 16, 'crosses a page', { kvmclock: 'refused', kvm: 'dropped', 'kvm-2015': 'written' }],
  ['at 2 mod 4', RECORDS + 2, 'misaligned', { kvmclock: 'refused', kvm: 'written', 'kvm-2015': 'written' }],
  ['behind memory', MEMORY_BYTES, 'no memory there', { kvmclock: 'refused', kvm: 'dropped', 'kvm-2015': 'dropped' }],
  [
    "among the hypervisor's words",
    HYPERVISOR_WORDS,
    'no memory there',
    { kvmclock: 'refused', kvm: 'dropped', 'kvm-2015': 'dropped' },
  ],
] as const) {
  for (const [flavour, outcome] of Object.entries(outcomes)) {
    test(`${flavour}: a record ${name} is reported and ${outcome}`, () => {
      const vm = world({ flavour: flavour as keyof typeof outcomes, enabled: false });
      const answer = vm.hypervisor.wrmsr(1, MSR_KVM_SYSTEM_TIME_NEW, BigInt(address) | 1n);
      assert.equal(answer, outcome === 'refused' ? 'refused' : 'done');
      const report = { vcpu: 1, msr: MSR_KVM_SYSTEM_TIME_NEW, value: BigInt(address) | 1n, address, problem, outcome };
      assert.deepEqual(vm.badAddresses, [report]);
      assert.equal(vm.hypervisor.rdmsr(1, MSR_KVM_SYSTEM_TIME), outcome === 'refused' ? 0n : BigInt(address) | 1n);
      vm.run(1);
      if (address < MEMORY_BYTES) assert.equal(decodePvti(vm.guest, address).version > 0, outcome === 'written');
    });
  }
}

test('an address that no number holds is reported to the bit', () => {
  const vm = world({ enabled: false });
  const value = (1n << 64n) - 3n;
  assert.equal(vm.hypervisor.wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, value), 'refused');
  assert.deepEqual([vm.badAddresses[0]!.value, vm.badAddresses[0]!.problem], [value, 'no memory there']);
});

test('kvm goes on with the record that a vCPU had when it is given one across two pages', () => {
  const vm = world({ flavour: 'kvm' });
  vm.runAll();
  const { version } = decodePvti(vm.guest, RECORDS + 64);
  vm.hypervisor.wrmsr(1, MSR_KVM_SYSTEM_TIME_NEW, BigInt(8192 - 16) | 1n);
  vm.run(1);
  assert.equal(decodePvti(vm.guest, RECORDS + 64).version, version + 2);
});

test('a record at 4 mod 8 is served like any other', () => {
  const vm = world({ enabled: false });
  vm.host.advanceNs(1_000_000n);
  vm.hypervisor.wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, BigInt(RECORDS + 4) | 1n);
  vm.run(0);
  const { version, ...body } = decodePvti(vm.guest, RECORDS + 4);
  assert.ok(version > 0 && version % 2 === 0);
  const line = { tscTimestamp: 2_000_000n, systemTime: 1_000_000n };
  assert.deepEqual(body, { ...line, tscToSystemMul: 0x8000_0000, tscShift: 0, flags: 1 });
});

test('the last place of a page is not across it', () => {
  const vm = world({ enabled: false });
  assert.equal(vm.hypervisor.wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, BigInt(8192 - 32) | 1n), 'done');
  assert.deepEqual(vm.badAddresses, []);
});

const wall = (vm: ReturnType<typeof world>, address: number) => decodeStruct(WALL_CLOCK_LAYOUT, vm.guest, address);

test('the wall clock is the time of day less the clock, written at the WRMSR and never again', () => {
  for (const flavour of ['kvmclock', 'kvm', 'kvm-2015'] as const) {
    const vm = world({ flavour, start: { realtimeNs: 1_420_000_000_123_456_789n } });
    vm.host.advanceNs(5_000_000_000n);
    vm.hypervisor.wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, 512n);
    const { version, sec, nsec } = wall(vm, 512);
    const epochNs = BigInt(sec) * 1_000_000_000n + BigInt(nsec);
    const error = epochNs + vm.clock(0) - vm.host.realtimeNs();
    assert.ok(error >= -10n && error <= 10n, `${flavour}: ${error} ns off`);
    assert.equal(version, 2);
    vm.host.setRealtime(0n);
    vm.hypervisor.refresh();
    vm.runAll();
    assert.deepEqual(wall(vm, 512), { version, sec, nsec });
    vm.hypervisor.wrmsr(1, MSR_KVM_WALL_CLOCK, 512n);
    assert.deepEqual(wall(vm, 512), { version: 4, sec: 0, nsec: 0 });
  }
});

test('a wall clock is written while the VM is not stable too, and at address 0 not at all', () => {
  const vm = world();
  vm.host.keepTimeByTsc(false);
  vm.hypervisor.hostClocksourceChanged();
  vm.hypervisor.wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, 512n);
  assert.equal(wall(vm, 512).sec, 1_420_000_000);
  assert.equal(vm.hypervisor.wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, 0n), 'done');
  assert.equal(wall(vm, 0).version, 0);
  assert.deepEqual(vm.badAddresses, []);
});

test('a wall clock at an address that cannot be is refused and reported', () => {
  const vm = world();
  for (const [address, problem] of [
    [4096 - 8, 'crosses a page'],
    [513, 'misaligned'],
    [1 << 20, 'no memory there'],
  ] as const) {
    assert.equal(vm.hypervisor.wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, BigInt(address)), 'refused');
    assert.equal(vm.badAddresses.at(-1)!.problem, problem);
  }
});

test('KVM writes a wall clock across two pages, as it does not go by the cache that turns such a record down', () => {
  for (const flavour of ['kvm', 'kvm-2015'] as const) {
    const vm = world({ flavour });
    assert.equal(vm.hypervisor.wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, 4096n - 8n), 'done');
    const { problem, outcome } = vm.badAddresses[0]!;
    assert.deepEqual({ problem, outcome }, { problem: 'crosses a page', outcome: 'written' });
    assert.equal(wall(vm, 4096 - 8).sec, 1_420_000_000);
  }
});

test('cpuid() gives signature and features, and nothing else', () => {
  const { hypervisor } = world({ enabled: false });
  const signature = hypervisor.cpuid(0x4000_0000)!;
  const text = [signature.ebx, signature.ecx, signature.edx].flatMap((word) =>
    [0, 8, 16, 24].map((at) => (word >>> at) & 0xff),
  );
  assert.equal(String.fromCharCode(...text), 'KVMKVMKVM\0\0\0');
  assert.equal(signature.eax, 0x4000_0001);
  assert.equal(hypervisor.cpuid(0x4000_0001)!.eax, (1 << 0) | (1 << 3) | (1 << 24));
  assert.equal(hypervisor.cpuid(0), undefined);
});

test('a system-time MSR without its lowest bit ends the record, whatever address it names', () => {
  for (const flavour of ['kvmclock', 'kvm'] as const) {
    for (const value of [0n, 1n << 40n, 4094n]) {
      const vm = world({ flavour });
      assert.equal(vm.hypervisor.wrmsr(1, MSR_KVM_SYSTEM_TIME_NEW, value), 'done');
      assert.deepEqual(vm.badAddresses, []);
      const { version } = vm.record(1);
      vm.hypervisor.refresh();
      vm.runAll();
      assert.equal(vm.record(1).version, version);
    }
  }
});

test('KVM lets go of the record that a vCPU had where the address that it is given has no memory', () => {
  const vm = world({ flavour: 'kvm' });
  assert.equal(vm.hypervisor.wrmsr(1, MSR_KVM_SYSTEM_TIME_NEW, (1n << 40n) | 1n), 'done');
  assert.deepEqual(
    vm.badAddresses.map(({ problem, outcome }) => [problem, outcome]),
    [['no memory there', 'dropped']],
  );
  const { version } = vm.record(1);
  vm.hypervisor.refresh();
  vm.runAll();
  assert.equal(vm.record(1).version, version);
});
