import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodePvti, PVTI_BYTES } from '../../src/abi/pvti.ts';
import { clockOnLine, decodeClockGuest } from '../../src/hypervisor/clock-guest.ts';
import { type World, world } from './world.ts';

const SEC = 1_000_000_000n;

test('getClockGuest() is the record of the vCPU', () => {
  const vm = world();
  vm.host.advanceNs(9n * SEC);
  vm.hypervisor.setTscOffset(0, 5n);
  vm.hypervisor.setTscOffset(1, 5n);
  vm.runAll();
  vm.runAll();
  const { version: _, ...body } = vm.record(1);
  assert.deepEqual(vm.hypervisor.getClockGuest(1), { version: 0, ...body });
});

test('getClockGuest() and setClockGuest() answer EINVAL while there is no master clock, and say why', () => {
  const vm = world();
  const line = vm.hypervisor.getClockGuest(0);
  vm.host.keepTimeByTsc(false);
  vm.hypervisor.hostClocksourceChanged();
  vm.runAll();
  const before = vm.hypervisor.getClock().clock;
  assert.throws(() => vm.hypervisor.getClockGuest(0), { code: 'EINVAL' });
  assert.throws(() => vm.hypervisor.setClockGuest(0, line), { code: 'EINVAL', message: /host does not keep time/ });
  assert.equal(vm.hypervisor.getClock().clock, before);
});

test('setClockGuest() refuses what cannot be a line', () => {
  const vm = world();
  vm.host.advanceNs(SEC);
  const line = vm.hypervisor.getClockGuest(0);
  for (const bad of [
    { ...line, tscToSystemMul: 0 },
    { ...line, tscShift: 32 },
    { ...line, tscShift: -32 },
    { ...line, tscTimestamp: vm.hypervisor.readTsc(0) + 1n },
  ]) {
    assert.throws(() => vm.hypervisor.setClockGuest(0, bad), { code: 'EINVAL' });
  }
  for (const tscShift of [31, -31]) assert.doesNotThrow(() => vm.hypervisor.setClockGuest(0, { ...line, tscShift }));
});

test('decodeClockGuest() refuses padding that is not zero', () => {
  const view = new DataView(new ArrayBuffer(PVTI_BYTES));
  const record = world().record(0);
  encodePvti(record, view);
  assert.deepEqual(decodeClockGuest(view), record);
  for (const at of [4, 7, 30, 31]) {
    const spoilt = new DataView(view.buffer.slice(0));
    spoilt.setUint8(at, 1);
    assert.throws(() => decodeClockGuest(spoilt), { code: 'EINVAL' });
  }
});

test('the flavours of Linux as it is have neither', () => {
  const { hypervisor } = world({ flavour: 'kvm' });
  assert.throws(() => hypervisor.getClockGuest(0), { code: 'ENOTTY' });
  assert.throws(() => hypervisor.setClockGuest(0, world().hypervisor.getClockGuest(0)), { code: 'ENOTTY' });
});

const rate = fc.bigInt({ min: 500_000_000n, max: 5_000_000_000n });
const time = fc.bigInt({ min: 1n, max: 86_400n * SEC });

/** How far the clocks are apart at one instant, which both guests call the same TSC: now, and a day later. */
function nsApart(from: World, to: World): bigint[] {
  const now = to.hypervisor.readTsc(1);
  return [now, now + from.hypervisor.tscHz(1) * 86_400n].map((tsc) => timeAt(to, tsc) - timeAt(from, tsc));
}

function timeAt(vm: World, tsc: bigint): bigint {
  return clockOnLine(vm.record(1), tsc);
}

function migrate(fromHz: bigint, toHz: bigint, ranNs: bigint, awayNs: bigint): [World, World] {
  const from = world({ hostHz: fromHz, tscScaling: true });
  const start = { tsc: 123_456_789n, ns: 987_654_321n };
  const to = world({ hostHz: toHz, guestHz: fromHz, tscScaling: true, start });
  from.host.advanceNs(ranNs);
  const line = from.hypervisor.getClockGuest(0);
  // The guest is on its way; its TSC is set to what it would show by now on the host that it left.
  from.host.advanceNs(awayNs);
  to.host.advanceNs(awayNs);
  const tsc = from.hypervisor.readTsc(0);
  for (const vcpu of [0, 1]) to.hypervisor.writeTsc(vcpu, tsc);
  to.hypervisor.setClockGuest(0, line);
  to.runAll();
  to.runAll();
  return [from, to];
}

test('migration to a host of another TSC rate leaves the clocks at most 1 ns apart at the same instant', () => {
  fc.assert(
    fc.property(rate, rate, time, time, (fromHz, toHz, ranNs, awayNs) => {
      const [from, to] = migrate(fromHz, toHz, ranNs, awayNs);
      assert.deepEqual([to.record(0).flags, to.record(1).flags], [1, 1]);
      for (const apart of nsApart(from, to)) assert.ok(apart >= -1n && apart <= 0n, `${apart} ns apart`);
    }),
    { numRuns: 300 },
  );
});

test('a chain of ten migrations loses at most 1 ns each', () => {
  const hosts = [2_593_992_345n, 2_100_000_001n, 4_999_999_999n, 700_000_003n];
  let vm = world({ hostHz: hosts[0]!, tscScaling: true });
  const [first, guestHz] = [vm, hosts[0]!];
  for (let hop = 1; hop <= 10; hop++) {
    vm.host.advanceNs(3_333_333_333n);
    const next = world({ hostHz: hosts[hop % 4]!, guestHz, tscScaling: true });
    for (const vcpu of [0, 1]) next.hypervisor.writeTsc(vcpu, vm.hypervisor.readTsc(0));
    next.hypervisor.setClockGuest(0, vm.hypervisor.getClockGuest(0));
    next.runAll();
    next.runAll();
    vm = next;
  }
  for (const apart of nsApart(first, vm)) assert.ok(apart >= -10n && apart <= 0n, `${apart} ns apart`);
});

test('migration by GET_CLOCK and SET_CLOCK alone, as KVM has it, is off by what passed in between', () => {
  const from = world({ flavour: 'kvm' });
  const to = world({ flavour: 'kvm' });
  from.host.advanceNs(100n * SEC);
  const { clock } = from.hypervisor.getClock();
  from.host.advanceNs(2n * SEC);
  to.host.advanceNs(2n * SEC);
  to.hypervisor.setClock({ clock, flags: 0 });
  to.runAll();
  assert.equal(to.clock(0) - from.clock(0), -2n * SEC);
});
