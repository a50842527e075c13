import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT, PVTI, pvtiAddress } from '../../../src/abi/pvti.ts';
import { landed } from '../../../src/guest/landed.ts';
import { readBegin, readRetry } from '../../../src/guest/sequence.ts';
import { FLAVOURS } from '../../../src/hypervisor/flavours.ts';
import { SIMULATED_TSC_HZ, simulatedClock } from '../../../src/machine/simulated/clock.ts';
import { nothingTaken, SimulatedVcpu } from '../../../src/machine/simulated/vcpu.ts';
import {
  BASES_AT,
  createSimulatedVm,
  kick,
  LAST_VALUE_AT,
  MISMATCH_CYCLES,
  openHypervisor,
  RECORDS_AT,
  type SimulatedVm,
} from '../../../src/machine/simulated/vm.ts';

function bootedVm(vcpus = 1): { vm: SimulatedVm; vcpus: SimulatedVcpu[] } {
  const vm = createSimulatedVm(vcpus, SIMULATED_TSC_HZ, FLAVOURS.kvmclock);
  const all = Array.from({ length: vcpus }, (_, id) => new SimulatedVcpu(vm, id));
  for (const vcpu of all) {
    vcpu.boot();
    vcpu.enter();
    vcpu.leave();
  }
  return { vm, vcpus: all };
}

/** Asks `vcpu` for a new record that says that it was stopped. */
function tellStopped(vm: SimulatedVm, vcpu = 0): void {
  openHypervisor(vm).kvmclockCtrl(vcpu);
}

const flags = (vcpu: SimulatedVcpu): number => vcpu.load8(RECORDS_AT + PVTI.flags);
const version = (vcpu: SimulatedVcpu): number => vcpu.load32(RECORDS_AT + PVTI.version);

test('enter() runs the hypervisor loop: what was asked of the vCPU is done before guest code runs', () => {
  const { vm, vcpus } = bootedVm();
  const vcpu = vcpus[0]!;
  vcpu.enter();
  const before = version(vcpu);
  tellStopped(vm);
  vcpu.exit();
  assert.equal(version(vcpu), before + 2);
  assert.equal(flags(vcpu) & PVCLOCK_GUEST_STOPPED, PVCLOCK_GUEST_STOPPED);
});

test('a vCPU in the guest serves a request at its next operation when it is kicked, and not without', () => {
  const { vm, vcpus } = bootedVm();
  const vcpu = vcpus[0]!;
  const operations: Record<string, () => unknown> = {
    load8: () => flags(vcpu),
    load32: () => version(vcpu),
    load64: () => vcpu.load64(RECORDS_AT + PVTI.systemTime),
    rdtsc: () => vcpu.rdtsc(),
    rdtscp: () => vcpu.rdtscp(),
    vcpu: () => vcpu.vcpu(),
    store32: () => vcpu.store32(BASES_AT, 0),
    store64: () => vcpu.store64(BASES_AT, 0n),
    compareExchange64: () => vcpu.compareExchange64(LAST_VALUE_AT, 0n, 0n),
    fetchAnd8: () => vcpu.fetchAnd8(LAST_VALUE_AT, 0xff),
    relax: () => vcpu.relax(),
  };
  const raw = new DataView(vm.memory);
  const stored = (): number => raw.getUint32(RECORDS_AT + PVTI.version, true);
  vcpu.enter();
  vcpu.relax(); // a kick of its own, from the boot
  for (const [name, operation] of Object.entries(operations)) {
    const before = stored();
    tellStopped(vm);
    operation();
    assert.equal(stored(), before, `${name} without a kick`);
    kick(vm, 0);
    operation();
    assert.equal(stored(), before + 2, `${name} kicked`);
  }
});

test('a reader that was held up in the middle sees that the record was written meanwhile', () => {
  const { vm, vcpus } = bootedVm();
  const vcpu = vcpus[0]!;
  vcpu.enter();
  const begun = readBegin(vcpu, RECORDS_AT);
  tellStopped(vm);
  kick(vm, 0);
  assert.equal(readRetry(vcpu, RECORDS_AT, begun), true);
});

test('a reader leaves behind what it took from the record, and the rounds that it went', () => {
  const { vcpus } = bootedVm();
  const vcpu = vcpus[0]!;
  vcpu.enter();
  const ns = landed(vcpu, RECORDS_AT)!;
  const { taken } = vcpu;
  assert.equal(taken.tscTimestamp, vcpu.load64(RECORDS_AT + PVTI.tscTimestamp));
  assert.equal(taken.systemTime, vcpu.load64(RECORDS_AT + PVTI.systemTime));
  assert.deepEqual([taken.mul, taken.shift], [3303820996, -1]);
  assert.ok(ns > taken.systemTime);
  assert.equal(vcpu.takenNs(), ns);
  assert.equal(taken.flags & PVCLOCK_TSC_STABLE_BIT, PVCLOCK_TSC_STABLE_BIT);
  assert.equal(vcpu.takenTsc(), vcpu.toldTsc());
  assert.equal(vcpu.rounds, 0);
  vcpu.relax();
  assert.equal(vcpu.rounds, 1);
});

test('a vCPU that is asked to takes another TSC offset at its next entry, and its record says that the clock is not stable', () => {
  const { vm, vcpus } = bootedVm(2);
  const vcpu = vcpus[1]!;
  Atomics.store(vm.offsets, 1, BigInt.asUintN(64, vm.matchingOffset + MISMATCH_CYCLES));
  Atomics.store(vm.offsetAsked, 1, 1);
  const before = BigInt.asUintN(64, simulatedClock().tsc() + vm.matchingOffset);
  vcpu.enter();
  assert.equal(Atomics.load(vm.offsetAsked, 1), 0);
  assert.ok(vcpu.rdtsc() - before > MISMATCH_CYCLES);
  assert.equal(vcpu.load8(pvtiAddress(RECORDS_AT, 1) + PVTI.flags), 0);
  assert.equal(landed(vcpu, RECORDS_AT), undefined);
});

test('what is stored below the records is not taken for a line, and stores and atomic operations do what they say', () => {
  const { vcpus } = bootedVm();
  const vcpu = vcpus[0]!;
  vcpu.enter();
  vcpu.taken = nothingTaken();
  for (let at = 0; at < 64; at += 8) vcpu.store64(BASES_AT + at, 0x1122_3344_5566_7788n);
  vcpu.store32(BASES_AT + 4, 0xffff_ffff);
  assert.equal(vcpu.load64(BASES_AT), 0xffff_ffff_5566_7788n);
  for (let at = 0; at < 64; at += 8) vcpu.load64(BASES_AT + at);
  for (let at = 0; at < 64; at += 4) vcpu.load32(BASES_AT + at);
  for (let at = 0; at < 64; at++) vcpu.load8(BASES_AT + at);
  assert.deepEqual(vcpu.taken, nothingTaken());
  assert.equal(vcpu.fetchAnd8(BASES_AT, 0xf0), 0x88);
  assert.equal(vcpu.load8(BASES_AT), 0x80);
  assert.equal(vcpu.compareExchange64(LAST_VALUE_AT, 1n, 5n), 0n);
  assert.equal(vcpu.compareExchange64(LAST_VALUE_AT, 0n, 5n), 0n);
  assert.equal(vcpu.load64(LAST_VALUE_AT), 5n);
});
