import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PVTI } from '../../../src/abi/pvti.ts';
import type { GuestCpu, Reader } from '../../../src/guest/cpu.ts';
import { landed } from '../../../src/guest/landed.ts';
import { READERS } from '../../../src/guest/readers.ts';
import { FLAVOURS } from '../../../src/hypervisor/flavours.ts';
import { SIMULATED_TSC_HZ } from '../../../src/machine/simulated/clock.ts';
import {
  createRun,
  type ReadingCounts,
  RUN,
  type Run,
  readUntilStopped,
  totalOf,
} from '../../../src/machine/simulated/reading.ts';
import { SimulatedVcpu } from '../../../src/machine/simulated/vcpu.ts';
import { createSimulatedVm, openHypervisor, RECORDS_AT } from '../../../src/machine/simulated/vm.ts';

const HOUR_NS = 3_600_000_000_000n;

/** Guest-physical: nothing of the VM's stands there. */
const MIXED_AT = RECORDS_AT + 0x400;

type Answer = (cpu: GuestCpu, run: Run, memory: DataView) => bigint | undefined;

/** What a vCPU counts while `answers` are what its reader does, one call each; a reader that may give more than the record does. */
function counted(answers: readonly Answer[], clamps = true): ReadingCounts {
  const vm = createSimulatedVm(1, SIMULATED_TSC_HZ, FLAVOURS.kvmclock);
  const vcpu = new SimulatedVcpu(vm, 0);
  vcpu.boot();
  const run = createRun();
  const memory = new DataView(vm.memory);
  let calls = 0;
  const reader: Reader = (cpu) => {
    if (calls === 0) landed(cpu, RECORDS_AT); // takes a line that was published, for the answers that take none
    const answer = answers[calls++]!;
    if (calls === answers.length) Atomics.store(run.words, RUN.stop, 1);
    return answer(cpu, run, memory);
  };
  return readUntilStopped(vcpu, vm, [{ read: reader, clamps }], run)[0]!;
}

/** Later than any record's time. */
const LATE_NS = 1n << 60n;
const say = (ns: bigint) => () => LATE_NS + ns;

test('readUntilStopped() counts nothing but the readings when they are in order', () => {
  const nothing = { unstable: 0, retries: 0, torn: 0, stale: 0, warps: 0, worstWarpNs: 0, stalls: 0 };
  assert.deepEqual(counted([say(1n), say(2n), say(3n)]), { reads: 3, ...nothing });
});

test('totalOf() adds all up, and takes the worst warp of any', () => {
  const counts = [1, 10, 100].map((by): ReadingCounts => {
    const found = { torn: 4 * by, stale: 5 * by, warps: 6 * by, worstWarpNs: by % 100, stalls: 8 * by };
    return { reads: by, unstable: 2 * by, retries: 3 * by, ...found };
  });
  const total = { reads: 111, unstable: 222, retries: 333, torn: 444, stale: 555, warps: 666 };
  assert.deepEqual(totalOf(counts), { ...total, worstWarpNs: 10, stalls: 888 });
});

test('readUntilStopped() counts a reading behind the latest as a warp, with the worst, and one equal to it as a stall', () => {
  const { reads, warps, worstWarpNs, stalls } = counted([say(100n), say(90n), say(100n), say(60n), say(101n)]);
  assert.deepEqual({ reads, warps, worstWarpNs, stalls }, { reads: 5, warps: 2, worstWarpNs: 40, stalls: 1 });
});

test('readUntilStopped() does not take it for a warp when the host has set the clock back meanwhile', () => {
  const setBack = (_: GuestCpu, run: Run): bigint => {
    Atomics.store(run.latest, 0, 0n);
    Atomics.add(run.words, RUN.setBacks, 1);
    return LATE_NS + 50n;
  };
  const { warps } = counted([say(100n), setBack, say(60n), say(59n)]);
  assert.equal(warps, 1);
});

test('readUntilStopped() counts refused readings and repeated rounds', () => {
  const relaxing = (cpu: GuestCpu): bigint => {
    cpu.relax();
    cpu.relax();
    return LATE_NS;
  };
  const { reads, unstable, retries } = counted([() => undefined, relaxing, () => undefined]);
  assert.deepEqual({ reads, unstable, retries }, { reads: 3, unstable: 2, retries: 2 });
});

test('readUntilStopped() counts a reading as torn when its timestamp and time were not published together', () => {
  let before: bigint | undefined;
  const keep = (cpu: GuestCpu): bigint => {
    before = cpu.load64(RECORDS_AT + PVTI.tscTimestamp);
    return landed(cpu, RECORDS_AT)!;
  };
  const mixed: Answer = (cpu, _, memory) => {
    memory.setBigUint64(MIXED_AT + PVTI.tscTimestamp, before!, true);
    memory.setBigUint64(MIXED_AT + PVTI.systemTime, HOUR_NS, true);
    cpu.load64(MIXED_AT + PVTI.systemTime);
    cpu.load64(MIXED_AT + PVTI.tscTimestamp);
    return LATE_NS;
  };
  const { reads, torn } = counted([keep, mixed, (cpu) => landed(cpu, RECORDS_AT)]);
  assert.deepEqual({ reads, torn }, { reads: 3, torn: 1 });
});

test('readUntilStopped() counts a reading as torn when it is not what its line gives at its TSC', () => {
  const off = (ns: bigint) => (cpu: GuestCpu) => landed(cpu, RECORDS_AT)! + ns;
  const torn = (ns: bigint, clamps: boolean) => counted([off(ns)], clamps).torn;
  assert.deepEqual([torn(0n, false), torn(1n, false), torn(-1n, false)], [0, 1, 1]);
  assert.deepEqual([torn(0n, true), torn(1n, true), torn(-1n, true)], [0, 0, 1], 'a clamp only raises');
});

test('readUntilStopped() holds each reader to what itself took, and lets the kernel tick on the way', () => {
  const vm = createSimulatedVm(1, SIMULATED_TSC_HZ, FLAVOURS.kvmclock);
  const vcpu = new SimulatedVcpu(vm, 0);
  vcpu.boot();
  const run = createRun();
  let [calls, ticks] = [0, 0];
  const keeps: Reader = READERS.cached();
  const kernel = {
    tick() {
      ticks++;
      vcpu.leave();
      openHypervisor(vm).refresh(); // the record is another one from here on
      vcpu.enter();
    },
  };
  const last: Reader = (cpu) => {
    if (++calls === 1000) Atomics.store(run.words, RUN.stop, 1);
    return landed(cpu, RECORDS_AT);
  };
  const counts = readUntilStopped(
    vcpu,
    vm,
    [keeps, last].map((read) => ({ read, clamps: false })),
    run,
    kernel,
  );
  assert.deepEqual(
    counts.map(({ reads, torn, stale }) => [reads, torn, stale]),
    [
      [1000, 0, 0],
      [1000, 0, 0],
    ],
  );
  assert.equal(ticks, 3);
});

test('readUntilStopped() counts a reading by an older line than its vCPU was told of as stale', () => {
  const vm = createSimulatedVm(1, SIMULATED_TSC_HZ, FLAVOURS.kvmclock);
  const vcpu = new SimulatedVcpu(vm, 0);
  vcpu.boot();
  vcpu.enter();
  vcpu.leave();
  const old = new Uint8Array(vm.memory.slice(RECORDS_AT, RECORDS_AT + 32));
  openHypervisor(vm).refresh();
  new Uint8Array(vm.memory).set(old, MIXED_AT);
  const run = createRun();
  const byOldRecord: Reader = (cpu) => {
    Atomics.store(run.words, RUN.stop, 1);
    return landed(cpu, MIXED_AT);
  };
  const [{ stale, torn }] = readUntilStopped(vcpu, vm, [{ read: byOldRecord, clamps: false }], run) as [ReadingCounts];
  assert.deepEqual({ stale, torn }, { stale: 1, torn: 0 });
});

test('readUntilStopped() does not hold a reader that keeps its line to what another took in between', () => {
  const vm = createSimulatedVm(1, SIMULATED_TSC_HZ, FLAVOURS.kvmclock);
  const vcpu = new SimulatedVcpu(vm, 0);
  vcpu.boot();
  vcpu.enter();
  vcpu.leave();
  new Uint8Array(vm.memory).set(new Uint8Array(vm.memory.slice(RECORDS_AT, RECORDS_AT + 32)), MIXED_AT);
  openHypervisor(vm).setClock({ clock: HOUR_NS, flags: 0 });
  const run = createRun();
  let calls = 0;
  const byOldRecord: Reader = (cpu) => {
    if (++calls === 10) Atomics.store(run.words, RUN.stop, 1);
    return landed(cpu, MIXED_AT);
  };
  const readers = [READERS.cached(), byOldRecord].map((read) => ({ read, clamps: false }));
  const counts = readUntilStopped(vcpu, vm, readers, run);
  assert.deepEqual(
    counts.map(({ reads, torn, stale }) => [reads, torn, stale]),
    [
      [10, 0, 0],
      [10, 0, 10],
    ],
  );
});
