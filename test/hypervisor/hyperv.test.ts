import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  HV_X64_MSR_REFERENCE_TSC,
  HV_X64_MSR_TIME_REF_COUNT,
  HYPERV_TSC_PAGE,
  HYPERV_TSC_PAGE_LAYOUT,
} from '../../src/abi/hyperv.ts';
import { decodeStruct } from '../../src/abi/struct.ts';
import { hypervTime } from '../../src/guest/hyperv.ts';
import { lineAt } from '../../src/guest/sequence.ts';
import type { HostCpu } from '../../src/hypervisor/cpu.ts';
import { hypervLine, nextSequence, publishHypervPage } from '../../src/hypervisor/hyperv.ts';
import type { PvtiBody } from '../../src/hypervisor/publish.ts';
import { createWords, sharedMemory } from '../../src/hypervisor/shared-memory.ts';
import { VM_WORDS, vmWord } from '../../src/hypervisor/words.ts';
import { tscToNs } from '../../src/scale/time-scale.ts';
import { type StoreOrder, WATCHES, withoutBarriers } from './weak-stores.ts';
import { type World, world } from './world.ts';

const PAGE = 8192;
const STABLE: PvtiBody = { tscTimestamp: 0n, systemTime: 0n, tscToSystemMul: 0x8000_0000, tscShift: 0, flags: 1 };

test('hypervLine() of 2 GHz counts 2^64 / 200 a cycle', () => {
  assert.deepEqual(hypervLine(STABLE), { scale: (1n << 63n) / 100n, offset: 0n });
  assert.equal(hypervLine({ ...STABLE, systemTime: 12_345n })!.offset, 123n);
  assert.equal(hypervLine({ ...STABLE, tscTimestamp: 2001n })!.offset, (1n << 64n) - 10n);
});

test('hypervLine() has nothing for a record that is not stable, or a TSC of 10 MHz and less', () => {
  assert.equal(hypervLine({ ...STABLE, flags: 0 }), undefined);
  const at = (hz: bigint) => {
    const { mul, shift } = tscToNs(hz);
    return hypervLine({ ...STABLE, tscToSystemMul: mul, tscShift: shift });
  };
  assert.equal(at(10_000_000n), undefined);
  assert.notEqual(at(10_000_100n), undefined);
  assert.equal(hypervLine({ ...STABLE, tscShift: 33 }), undefined);
});

test('the page and the record it is made from agree to the resolution of the page', () => {
  const u52 = fc.bigInt({ min: 0n, max: 1n << 52n });
  fc.assert(
    fc.property(
      fc.bigInt({ min: 500_000_000n, max: 5_000_000_000n }),
      u52,
      u52,
      u52,
      (hz, tscTimestamp, systemTime, later) => {
        const { mul, shift } = tscToNs(hz);
        const body = { tscTimestamp, systemTime, tscToSystemMul: mul, tscShift: shift, flags: 1 };
        const { scale, offset } = hypervLine(body)!;
        const tsc = tscTimestamp + later;
        const page = hypervTime(tsc, scale, offset);
        const record = lineAt(tsc, tscTimestamp, systemTime, mul, shift) / 100n;
        const apart = BigInt.asIntN(64, page - record);
        assert.ok(apart >= -1n && apart <= 1n, `${apart}`);
      },
    ),
  );
});

test('nextSequence() skips 0 and -1', () => {
  assert.deepEqual([0, 1, 0xffff_fffd, 0xffff_fffe, 0xffff_ffff].map(nextSequence), [1, 2, 0xffff_fffe, 1, 1]);
});

function page() {
  const buffer = new SharedArrayBuffer(4096);
  const memory = sharedMemory({ memory: buffer, words: createWords(1), hostClock: { tsc: () => 0n, ns: () => 0n } });
  return { memory, read: () => decodeStruct(HYPERV_TSC_PAGE_LAYOUT, new DataView(buffer)) };
}

const OTHER = { ...STABLE, systemTime: 1_000_000n, tscToSystemMul: 0xaaaa_aaaa };

/** The lines that stand under a valid sequence at any moment while `write` replaces STABLE's. */
function linesSeen(write: (cpu: HostCpu) => void, order: StoreOrder = 'in order'): string[] {
  const { memory, read } = page();
  publishHypervPage(memory, 0, STABLE);
  const seen = new Set<string>();
  WATCHES[order](memory, write, () => {
    const { sequence, scale, offset } = read();
    if (sequence !== 0) seen.add(`${scale} ${offset}`);
  });
  return [...seen];
}

const LINES = [STABLE, OTHER].map((body) => {
  const { scale, offset } = hypervLine(body)!;
  return `${scale} ${offset}`;
});

const publishOther = (cpu: HostCpu): void => publishHypervPage(cpu, 0, OTHER);

for (const order of ['in order', 'last first'] as const) {
  test(`publishHypervPage() shows a valid sequence only with a whole line, its stores seen ${order}`, () => {
    assert.deepEqual(linesSeen(publishOther, order), LINES);
  });
}

test('a writer of the page without its barriers is caught where stores are seen last first', () => {
  assert.notDeepEqual(linesSeen(withoutBarriers(publishOther), 'last first'), LINES);
});

test('a writer that does not make the page invalid first is caught', () => {
  const { scale, offset } = hypervLine(OTHER)!;
  const seen = linesSeen((cpu) => {
    cpu.store64(HYPERV_TSC_PAGE.scale, scale);
    cpu.store64(HYPERV_TSC_PAGE.offset, offset);
    cpu.store32(HYPERV_TSC_PAGE.sequence, 2);
  });
  assert.equal(seen.length, 3);
});

test('publishHypervPage() gives no sequence twice in a row, though the page was invalid in between', () => {
  const { memory, read } = page();
  publishHypervPage(memory, 0, STABLE);
  const { sequence } = read();
  publishHypervPage(memory, 0, { ...STABLE, flags: 0 });
  assert.equal(read().sequence, 0);
  publishHypervPage(memory, 0, STABLE);
  assert.equal(read().sequence, sequence + 1);
  memory.store32(vmWord(VM_WORDS.hypervSequence), 0xffff_fffe);
  publishHypervPage(memory, 0, STABLE);
  assert.equal(read().sequence, 1);
});

const pageOf = (vm: World) => decodeStruct(HYPERV_TSC_PAGE_LAYOUT, vm.guest, PAGE);
const units = (vm: World) => {
  const { scale, offset } = pageOf(vm);
  return hypervTime(vm.hypervisor.readTsc(0), scale, BigInt.asUintN(64, offset));
};

test('a guest that asks for the page has it valid when it runs, and it agrees with record and register', () => {
  for (const enabled of [true, false]) {
    const vm = world({ hypervPage: true, enabled });
    vm.host.advanceNs(5_000_000_000n);
    assert.equal(vm.hypervisor.wrmsr(1, HV_X64_MSR_REFERENCE_TSC, BigInt(PAGE) | 1n), 'done');
    vm.runAll();
    vm.runAll();
    assert.notEqual(pageOf(vm).sequence, 0);
    vm.host.advanceNs(5_000_000_000n);
    const register = vm.hypervisor.rdmsr(0, HV_X64_MSR_TIME_REF_COUNT)!;
    assert.equal(vm.hypervisor.rdmsr(0, HV_X64_MSR_REFERENCE_TSC), BigInt(PAGE) | 1n);
    const apart = units(vm) - register;
    assert.ok(apart >= -1n && apart <= 1n, `${apart}`);
  }
});

test('the page follows SET_CLOCK before any vCPU runs, is invalid while the VM is not stable, and is left alone when given up', () => {
  const vm = world({ hypervPage: true });
  vm.host.advanceNs(5_000_000_000n);
  vm.hypervisor.wrmsr(0, HV_X64_MSR_REFERENCE_TSC, BigInt(PAGE) | 1n);
  vm.runAll();
  const before = pageOf(vm).offset;
  vm.hypervisor.setClock({ clock: 0n, flags: 0 });
  assert.ok(units(vm) < 100_000n);
  assert.notEqual(pageOf(vm).offset, before);
  vm.host.keepTimeByTsc(false);
  vm.hypervisor.hostClocksourceChanged();
  assert.equal(pageOf(vm).sequence, 0);
  vm.host.keepTimeByTsc(true);
  vm.hypervisor.hostClocksourceChanged();
  vm.hypervisor.wrmsr(0, HV_X64_MSR_REFERENCE_TSC, 0n);
  const left = pageOf(vm);
  vm.hypervisor.setClock({ clock: 0n, flags: 0 });
  vm.runAll();
  assert.deepEqual(pageOf(vm), left);
});

test("the page is written with vCPU 0's record, and with no other's", () => {
  const vm = world({ hypervPage: true });
  vm.hypervisor.wrmsr(1, HV_X64_MSR_REFERENCE_TSC, BigInt(PAGE) | 1n);
  vm.runAll();
  const { sequence } = pageOf(vm);
  for (const [vcpu, after] of [
    [1, sequence],
    [0, sequence + 1],
  ] as const) {
    const { version } = vm.record(vcpu);
    vm.hypervisor.kvmclockCtrl(vcpu);
    assert.deepEqual([vm.record(vcpu).version, pageOf(vm).sequence], [version + 2, after]);
  }
});

test('a VM that keeps no page does not know its registers', () => {
  const vm = world();
  assert.equal(vm.hypervisor.wrmsr(0, HV_X64_MSR_REFERENCE_TSC, BigInt(PAGE) | 1n), 'unknown');
  const registers = [HV_X64_MSR_REFERENCE_TSC, HV_X64_MSR_TIME_REF_COUNT];
  assert.deepEqual(
    registers.map((msr) => vm.hypervisor.rdmsr(0, msr)),
    [undefined, undefined],
  );
});

test('a page where there is no memory is refused and reported', () => {
  const vm = world({ hypervPage: true });
  assert.equal(vm.hypervisor.wrmsr(0, HV_X64_MSR_REFERENCE_TSC, (1n << 40n) | 1n), 'refused');
  assert.equal(vm.badAddresses[0]!.problem, 'no memory there');
});
