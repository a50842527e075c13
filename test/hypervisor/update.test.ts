import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { PVCLOCK_TSC_STABLE_BIT } from '../../src/abi/pvti.ts';
import type { HostCpu } from '../../src/hypervisor/cpu.ts';
import { loadMasterCopy } from '../../src/hypervisor/master-copy.ts';
import type { Freeze, Policy } from '../../src/hypervisor/policy.ts';
import { IN_GUEST_MODE, REQUEST } from '../../src/hypervisor/request-bits.ts';
import { enter, leave, serveRequests } from '../../src/hypervisor/requests.ts';
import { freeze, thaw, updateMasterClock } from '../../src/hypervisor/update.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from '../../src/hypervisor/words.ts';
import { bareVm, copyAt, lineIn, lineOf } from './bare-vm.ts';
import { Thread } from './stepper.ts';

const next = () => copyAt(1n);
const unstable = () => ({ ...copyAt(1n), useMasterClock: false });

test('freeze() kicks every vCPU and returns once each is out; thaw() lets them in', () => {
  const vm = bareVm();
  enter(vm.memory, vm.setup, 1, next);
  const freezer = new Thread(vm.memory, (cpu) => freeze(cpu, vm.setup));
  freezer.step(50);
  assert.equal(freezer.finished, false);
  assert.deepEqual([...new Set(vm.kicks)], [0, 1]);
  leave(vm.memory, 1);
  freezer.step(50);
  assert.equal(freezer.finished, true);
  assert.deepEqual([vm.requests(0), vm.requests(1)], [REQUEST.MCLOCK_INPROGRESS, REQUEST.MCLOCK_INPROGRESS]);
  thaw(vm.memory, vm.setup);
  assert.deepEqual([vm.requests(0), vm.requests(1)], [0, 0]);
});

test('updateMasterClock() holds every vCPU out before it asks for the copy, whatever its lock covers', () => {
  for (const lock of ['copy', 'whole'] as const) {
    const vm = bareVm({ lock, freeze: 'kvm' });
    const heldOut: number[] = [];
    updateMasterClock(vm.memory, vm.setup, () => {
      heldOut.push(vm.requests(0), vm.requests(1));
      return next();
    });
    assert.deepEqual(heldOut, [REQUEST.MCLOCK_INPROGRESS, REQUEST.MCLOCK_INPROGRESS]);
    assert.deepEqual([vm.requests(0), vm.requests(1)], [REQUEST.CLOCK_UPDATE, REQUEST.CLOCK_UPDATE]);
  }
});

test('freeze() does nothing under the policy none, whose update kicks instead', () => {
  const vm = bareVm({ freeze: 'none' });
  freeze(vm.memory, vm.setup);
  assert.deepEqual([vm.requests(0), vm.kicks], [0, []]);
  updateMasterClock(vm.memory, vm.setup, next);
  assert.deepEqual([vm.requests(0), vm.requests(1)], [REQUEST.CLOCK_UPDATE, REQUEST.CLOCK_UPDATE]);
  assert.deepEqual(vm.kicks, [0, 1]);
});

/** vCPU 1 enters after an update, vCPU 0 does not run: what vCPU 1 finds in record 0. */
function record0After(freezePolicy: Freeze, copy: typeof next) {
  const vm = bareVm({ freeze: freezePolicy });
  updateMasterClock(vm.memory, vm.setup, copy);
  enter(vm.memory, vm.setup, 1, next);
  return vm.record(0);
}

for (const policy of ['none', 'kvm'] as const) {
  test(`under ${policy}, a vCPU that has been told enters while record 0 is still the old, stable one`, () => {
    for (const copy of [next, unstable]) {
      const record0 = record0After(policy, copy);
      assert.deepEqual(lineIn(record0), lineOf(copyAt(0n)));
      assert.equal(record0.flags, PVCLOCK_TSC_STABLE_BIT);
    }
  });
}

for (const policy of ['record0', 'all'] as const) {
  test(`under ${policy}, no vCPU enters before record 0 is of the new copy`, () => {
    assert.deepEqual(lineIn(record0After(policy, next)), lineOf(copyAt(1n)));
    assert.equal(record0After(policy, unstable).flags, 0);
  });
}

test('updateMasterClock() under all has written every record when it returns, under record0 only record 0', () => {
  for (const [policy, written] of [
    ['all', [0, 1, 2]],
    ['record0', [0]],
  ] as const) {
    const vm = bareVm({ freeze: policy }, 3);
    updateMasterClock(vm.memory, vm.setup, next);
    const fresh = [0, 1, 2].filter((vcpu) => vm.record(vcpu).systemTime === lineOf(copyAt(1n)).systemTime);
    assert.deepEqual(fresh, written);
    const asked = [0, 1, 2].filter((vcpu) => vm.requests(vcpu) === REQUEST.CLOCK_UPDATE);
    assert.deepEqual(
      asked,
      [0, 1, 2].filter((vcpu) => !fresh.includes(vcpu)),
    );
  }
});

test('a record that the updater made of its own sample is asked of its vCPU again', () => {
  const vm = bareVm({ freeze: 'all' });
  updateMasterClock(vm.memory, vm.setup, unstable);
  assert.deepEqual([vm.record(0).tscTimestamp, vm.record(0).flags], [777n, 0]);
  assert.deepEqual([vm.requests(0), vm.requests(1)], [REQUEST.CLOCK_UPDATE, REQUEST.CLOCK_UPDATE]);
});

test('updateMasterClock() leaves records alone that are not kept, and asks for those whose rate is not known', () => {
  const vm = bareVm({ freeze: 'record0' });
  vm.memory.store64(vcpuWord(0, VCPU_WORDS.timeScale), 0n);
  updateMasterClock(vm.memory, vm.setup, next);
  assert.equal(vm.requests(0), REQUEST.CLOCK_UPDATE);
  vm.memory.store64(vcpuWord(0, VCPU_WORDS.record), 0n);
  updateMasterClock(vm.memory, vm.setup, () => copyAt(2n));
  assert.deepEqual(lineIn(vm.record(0)), lineOf(copyAt(0n)));
});

/** Which thread goes on, and for how many operations. */
type Burst = readonly [pick: number, operations: number];

/** Runs the threads in bursts; `look` after every operation. */
function interleave(threads: readonly Thread[], order: readonly Burst[], look: () => void): void {
  for (const [pick, operations] of order) {
    const open = threads.filter((thread) => !thread.finished);
    if (open.length === 0) return;
    for (let i = 0; i < operations; i++) {
      open[pick % open.length]!.step();
      look();
    }
  }
}

const ORDER = fc.array(fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 12 })), { minLength: 10, maxLength: 60 });

/** vCPU 0 writes its record while the updater does: whether anything was seen there but one line or the other. */
function spoilsRecord0(order: readonly Burst[], vcpuPolicy: Freeze): boolean {
  const vm = bareVm({ freeze: 'record0' });
  const own = { ...vm.setup, policy: { ...vm.setup.policy, freeze: vcpuPolicy } };
  vm.memory.fetchOr32(vcpuWord(0, VCPU_WORDS.requests), REQUEST.CLOCK_UPDATE);
  const updater = new Thread(vm.memory, (cpu) => updateMasterClock(cpu, vm.setup, next));
  const vcpu = new Thread(vm.memory, (cpu) => enter(cpu, own, 0, next));
  const lines = [0n, 1n].map((n) => lineOf(copyAt(n)));
  let spoilt = false;
  interleave([updater, vcpu], order, () => {
    const record = vm.record(0);
    const known = lines.some((line) => isDeepStrictEqual(line, lineIn(record)));
    if (record.version % 2 === 0 && !known) spoilt = true;
    if (updater.finished && !isDeepStrictEqual(lineIn(record), lines[1])) spoilt = true;
  });
  return spoilt;
}

test('vCPU 0 and the updater never write record 0 at once, nor leave the old line in it', () => {
  const orders = fc.sample(ORDER, { numRuns: 1000, seed: 20141222 });
  assert.ok(!orders.some((order) => spoilsRecord0(order, 'record0')));
});

test('a vCPU 0 that does not take the lock of its record is caught', () => {
  const orders = fc.sample(ORDER, { numRuns: 1000, seed: 20141222 });
  assert.ok(orders.some((order) => spoilsRecord0(order, 'kvm')));
});

/** Two updates at once and a vCPU that goes in and out: how often an update takes its sample with the vCPU in the guest. */
function samplesWithAVcpuInside(policy: Partial<Policy>, orders: readonly (readonly Burst[])[]): number {
  let inside = 0;
  for (const order of orders) {
    const vm = bareVm(policy, 1);
    const guest = vcpuWord(0, VCPU_WORDS.alwaysCatchUp); // a word that nothing here uses: 1 while guest code runs
    const sampled = vcpuWord(0, VCPU_WORDS.systemTimeMsr); // another: samples taken meanwhile
    const sample = (cpu: HostCpu) => {
      if (cpu.load32(guest) === 1) cpu.fetchOr32(sampled, 1);
      return copyAt(1n);
    };
    const updaters = [1, 2].map(() => new Thread(vm.memory, (cpu) => updateMasterClock(cpu, vm.setup, sample)));
    const vcpu = new Thread(vm.memory, (cpu) => {
      for (let run = 0; run < 3; run++) {
        enter(cpu, vm.setup, 0, sample);
        cpu.store32(guest, 1);
        cpu.store32(guest, 0);
        leave(cpu, 0);
      }
    });
    interleave([...updaters, vcpu], order, () => {});
    inside += vm.memory.load32(sampled);
  }
  return inside;
}

test('two updates at once never sample with a vCPU in the guest where the lock covers the whole, as it did in 2015', () => {
  const orders = fc.sample(ORDER, { numRuns: 1500, seed: 20150105 });
  assert.equal(samplesWithAVcpuInside({ freeze: 'record0', lock: 'whole' }, orders), 0);
  assert.equal(samplesWithAVcpuInside({ freeze: 'kvm', lock: 'whole' }, orders), 0);
});

test("KVM's lock over the copy alone is caught: one update clears the bits that the other needs", () => {
  const orders = fc.sample(ORDER, { numRuns: 1500, seed: 20150105 });
  assert.ok(samplesWithAVcpuInside({ freeze: 'kvm', lock: 'copy' }, orders) > 0);
});

test('no freeze is caught by the same look', () => {
  const orders = fc.sample(ORDER, { numRuns: 200, seed: 20150105 });
  assert.ok(samplesWithAVcpuInside({ freeze: 'none', lock: 'whole' }, orders) > 0);
});

/** An update, and two vCPUs that `go` in: whether one was in the guest with a record of another copy than the one that stands. */
function entersOld(order: readonly Burst[], policy: Freeze, go: typeof enter): boolean {
  const vm = bareVm({ freeze: policy });
  const updater = new Thread(vm.memory, (cpu) => updateMasterClock(cpu, vm.setup, next));
  const vcpus = [0, 1].map((vcpu) => new Thread(vm.memory, (cpu) => go(cpu, vm.setup, vcpu, next)));
  let old = false;
  interleave([updater, ...vcpus], order, () => {
    for (const vcpu of [0, 1]) {
      if (!vcpus[vcpu]!.finished || vm.mode(vcpu) !== IN_GUEST_MODE) continue;
      const written = vm.memory.load32(vmWord(VM_WORDS.sequence)) % 2 === 0;
      if (!written || !isDeepStrictEqual(lineIn(vm.record(vcpu)), lineOf(loadMasterCopy(vm.memory)))) old = true;
      if (vm.requests(vcpu) !== 0) leave(vm.memory, vcpu);
    }
  });
  return old;
}

test('a vCPU that is in the guest has a record of the copy that stands', () => {
  for (const policy of ['kvm', 'record0', 'all'] as const) {
    const orders = fc.sample(ORDER, { numRuns: 300, seed: 78 });
    assert.ok(!orders.some((order) => entersOld(order, policy, enter)));
  }
});

test('a vCPU that goes in without a second look at its requests is caught', () => {
  const orders = fc.sample(ORDER, { numRuns: 300, seed: 78 });
  const careless: typeof enter = (cpu, setup, vcpu, copy) => {
    serveRequests(cpu, setup, vcpu, copy);
    cpu.store32(vcpuWord(vcpu, VCPU_WORDS.mode), IN_GUEST_MODE);
  };
  assert.ok(orders.some((order) => entersOld(order, 'kvm', careless)));
});
