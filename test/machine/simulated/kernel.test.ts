import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as id from '../../../src/abi/clock-id.ts';
import { readClock } from '../../../src/guest/clock-gettime.ts';
import { landed } from '../../../src/guest/landed.ts';
import { FLAVOURS } from '../../../src/hypervisor/flavours.ts';
import { SIMULATED_TSC_HZ } from '../../../src/machine/simulated/clock.ts';
import { clockGettimeReader, SimulatedKernel } from '../../../src/machine/simulated/kernel.ts';
import { SimulatedVcpu } from '../../../src/machine/simulated/vcpu.ts';
import { BASES_AT, createSimulatedVm, openHypervisor, RECORDS_AT } from '../../../src/machine/simulated/vm.ts';
import { fromTimespec } from '../../../src/scale/timespec.ts';

function booted() {
  const vm = createSimulatedVm(1, SIMULATED_TSC_HZ, FLAVOURS.kvmclock);
  const vcpu = new SimulatedVcpu(vm, 0);
  const kernel = new SimulatedKernel(vcpu);
  vcpu.boot();
  vcpu.enter();
  kernel.boot();
  return { vm, vcpu, kernel };
}

test("clockGettimeReader() gives the record's time to the ns, before a tick and after many", () => {
  const { vm, vcpu, kernel } = booted();
  for (let round = 0; round < 200; round++) {
    const ns = clockGettimeReader(vcpu, RECORDS_AT);
    assert.equal(ns, vcpu.takenNs());
    if (round % 3 === 0) kernel.tick();
    if (round % 10 !== 0) continue;
    vcpu.leave();
    openHypervisor(vm).refresh();
    vcpu.enter();
  }
});

test('clockGettimeReader() has nothing before the kernel has booted', () => {
  const { vcpu } = booted();
  for (let at = 0; at < 768; at += 8) vcpu.store64(BASES_AT + at, 0n);
  assert.equal(clockGettimeReader(vcpu, RECORDS_AT), undefined);
});

test('every clock of the kernel can be read, the coarse ones as of the last tick', () => {
  const { vcpu, kernel } = booted();
  const read = (clock: number) =>
    fromTimespec(readClock(vcpu, { bases: BASES_AT, records: RECORDS_AT, read: landed }, clock)!);
  kernel.tick();
  const coarse = read(id.CLOCK_MONOTONIC_COARSE);
  for (const clock of id.VDSO_CLOCKS) assert.ok(read(clock) >= coarse);
  assert.equal(read(id.CLOCK_MONOTONIC_COARSE), coarse);
  assert.equal(read(id.CLOCK_REALTIME_COARSE), coarse);
  kernel.tick();
  assert.ok(read(id.CLOCK_MONOTONIC_COARSE) > coarse);
  const apart = read(id.CLOCK_TAI) - read(id.CLOCK_REALTIME);
  assert.ok(apart >= 36_000_000_000n && apart <= 37_000_000_000n, `${apart}`);
});
