import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PVCLOCK_GUEST_STOPPED, PVTI, pvtiAddress } from '../../../src/abi/pvti.ts';
import { landed } from '../../../src/guest/landed.ts';
import { readBegin, readRetry } from '../../../src/guest/sequence.ts';
import { FLAVOURS } from '../../../src/hypervisor/flavours.ts';
import { SIMULATED_TSC_HZ, simulatedClock } from '../../../src/machine/simulated/clock.ts';
import { SimulatedVcpu } from '../../../src/machine/simulated/vcpu.ts';
import {
  createSimulatedVm,
  kick,
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
