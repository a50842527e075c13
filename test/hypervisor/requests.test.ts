import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT } from '../../src/abi/pvti.ts';
import type { HostCpu } from '../../src/hypervisor/cpu.ts';
import { IN_GUEST_MODE, OUTSIDE_GUEST_MODE, REQUEST } from '../../src/hypervisor/request-bits.ts';
import {
  enter,
  leave,
  openGate,
  request,
  requestAll,
  serveDueUpdate,
  serveRequests,
  tryEnter,
} from '../../src/hypervisor/requests.ts';
import { freeze, thaw, updateMasterClock } from '../../src/hypervisor/update.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from '../../src/hypervisor/words.ts';
import { type BareVm, bareVm, copyAt, lineIn, lineOf } from './bare-vm.ts';
import { sleeper, withMembers } from './sleeper.ts';
import { Thread } from './stepper.ts';

const next = () => copyAt(1n);
const never = () => assert.fail('no update was asked for');

test('enter() with nothing to do leaves the record alone and the vCPU in guest mode', () => {
  const vm = bareVm();
  const { version } = vm.record(1);
  enter(vm.memory, vm.setup, 1, never);
  assert.equal(vm.mode(1), IN_GUEST_MODE);
  assert.equal(vm.record(1).version, version);
  leave(vm.memory, 1);
  assert.equal(vm.mode(1), OUTSIDE_GUEST_MODE);
});

for (const [name, bit] of Object.entries(REQUEST)) {
  test(`openGate() stays shut on ${name}`, () => {
    const vm = bareVm();
    request(vm.memory, 1, bit, false);
    assert.equal(openGate(vm.memory, 1), false);
    assert.equal(vm.mode(1), OUTSIDE_GUEST_MODE);
    assert.equal(vm.requests(1), bit);
  });
}

test('serveRequests() takes CLOCK_UPDATE and writes the record', () => {
  const vm = bareVm();
  const { version } = vm.record(1);
  request(vm.memory, 1, REQUEST.CLOCK_UPDATE, false);
  serveRequests(vm.memory, vm.setup, 1, never);
  assert.equal(vm.requests(1), 0);
  assert.equal(vm.record(1).version, version + 2);
});

test('serveRequests() shows GUEST_STOPPED in the record once, and the guest clears it', () => {
  const vm = bareVm();
  request(vm.memory, 1, REQUEST.CLOCK_UPDATE | REQUEST.GUEST_STOPPED, false);
  serveRequests(vm.memory, vm.setup, 1, never);
  assert.equal(vm.requests(1), 0);
  assert.equal(vm.record(1).flags, PVCLOCK_TSC_STABLE_BIT | PVCLOCK_GUEST_STOPPED);
  vm.memory.fetchAndNot32(64 + 28, PVCLOCK_GUEST_STOPPED << 8);
  request(vm.memory, 1, REQUEST.CLOCK_UPDATE, false);
  serveRequests(vm.memory, vm.setup, 1, never);
  assert.equal(vm.record(1).flags, PVCLOCK_TSC_STABLE_BIT);
});

test('serveRequests() asks for CLOCK_UPDATE again while the TSC rate is not known', () => {
  const vm = bareVm();
  const { version } = vm.record(1);
  const timeScale = vcpuWord(1, VCPU_WORDS.timeScale);
  const known = vm.memory.load64(timeScale);
  vm.memory.store64(timeScale, 0n);
  const asked = REQUEST.CLOCK_UPDATE | REQUEST.GUEST_STOPPED;
  request(vm.memory, 1, asked, false);
  assert.equal(tryEnter(vm.memory, vm.setup, 1, never), false);
  assert.equal(vm.requests(1), asked);
  assert.equal(vm.record(1).version, version);
  vm.memory.store64(timeScale, known);
  assert.equal(tryEnter(vm.memory, vm.setup, 1, never), true);
  assert.equal(vm.record(1).flags, PVCLOCK_TSC_STABLE_BIT | PVCLOCK_GUEST_STOPPED);
});

for (const global of ['at-once', 'delayed'] as const) {
  test(`a GLOBAL_CLOCK_UPDATE served ${global} while the TSC rate is not known is not lost`, () => {
    const vm = bareVm({ global });
    vm.memory.store64(vcpuWord(1, VCPU_WORDS.timeScale), 0n);
    request(vm.memory, 1, REQUEST.GLOBAL_CLOCK_UPDATE, false);
    assert.equal(tryEnter(vm.memory, vm.setup, 1, never), false);
    assert.equal(vm.requests(1), REQUEST.CLOCK_UPDATE);
  });
}

test('serveRequests() takes CLOCK_UPDATE of a vCPU that keeps no record, whether the TSC rate is known or not', () => {
  const vm = bareVm();
  vm.memory.store64(vcpuWord(1, VCPU_WORDS.record), 0n);
  for (const timeScale of [vm.memory.load64(vcpuWord(1, VCPU_WORDS.timeScale)), 0n]) {
    vm.memory.store64(vcpuWord(1, VCPU_WORDS.timeScale), timeScale);
    request(vm.memory, 1, REQUEST.CLOCK_UPDATE, false);
    assert.equal(tryEnter(vm.memory, vm.setup, 1, never), true);
    leave(vm.memory, 1);
  }
});

test('serveRequests() serves MASTERCLOCK_UPDATE before CLOCK_UPDATE, so the record is of the new copy', () => {
  for (const update of ['repeat', 'once'] as const) {
    const vm = bareVm({ update });
    request(vm.memory, 1, REQUEST.CLOCK_UPDATE | REQUEST.MASTERCLOCK_UPDATE, false);
    serveRequests(vm.memory, vm.setup, 1, next);
    assert.equal(vm.requests(1), 0);
    assert.deepEqual(lineIn(vm.record(1)), lineOf(copyAt(1n)));
  }
});

function updatesWhenAllAsk(update: 'repeat' | 'once'): number {
  const vm = bareVm({ update, lock: 'whole' }, 4);
  let updates = 0;
  const counted = () => {
    updates++;
    return copyAt(BigInt(updates));
  };
  requestAll(vm.memory, vm.setup, REQUEST.MASTERCLOCK_UPDATE, false);
  for (let vcpu = 0; vcpu < 4; vcpu++) {
    enter(vm.memory, vm.setup, vcpu, counted);
    leave(vm.memory, vcpu);
  }
  return updates;
}

test('a MASTERCLOCK_UPDATE asked of every vCPU is one update where the policy says once, and one a vCPU in KVM', () => {
  assert.equal(updatesWhenAllAsk('once'), 1);
  assert.equal(updatesWhenAllAsk('repeat'), 4);
});

test('wherever two vCPUs meet on an update that was asked of both, the policy once makes it once', () => {
  const sequence = vmWord(VM_WORDS.sequence);
  for (let operations = 0, through = false; !through; operations++) {
    const vm = bareVm({ update: 'once', lock: 'whole' });
    const before = vm.memory.load32(sequence);
    requestAll(vm.memory, vm.setup, REQUEST.MASTERCLOCK_UPDATE, false);
    const [first, second] = [0, 1].map(
      (vcpu) => new Thread(vm.memory, (cpu) => void serveRequests(cpu, vm.setup, vcpu, next)),
    );
    through = first!.step(operations).finished;
    for (const thread of [second!, first!, second!]) thread.step(200);
    assert.deepEqual([first!.finished, second!.finished], [true, true]);
    assert.equal(vm.memory.load32(sequence) - before, 2, `met after ${operations} operations`);
  }
});

test('GLOBAL_CLOCK_UPDATE at once asks every vCPU for its record and kicks it', () => {
  const vm = bareVm({ global: 'at-once' });
  request(vm.memory, 1, REQUEST.GLOBAL_CLOCK_UPDATE, false);
  serveRequests(vm.memory, vm.setup, 1, never);
  assert.equal(vm.requests(0), REQUEST.CLOCK_UPDATE);
  assert.equal(vm.requests(1), 0);
  assert.deepEqual(vm.kicks, [0, 1]);
});

test('GLOBAL_CLOCK_UPDATE delayed asks the others 100 ms later, once', () => {
  const vm = bareVm({ global: 'delayed' });
  let ns = 1000n;
  const memory = withMembers(vm.memory, { hostNs: () => ns });
  request(memory, 1, REQUEST.GLOBAL_CLOCK_UPDATE, false);
  serveRequests(memory, vm.setup, 1, never);
  assert.equal(vm.requests(0), 0);
  assert.equal(memory.load64(vmWord(VM_WORDS.globalUpdateDueNs)), 100_001_000n);
  ns = 50_000_000n;
  request(memory, 0, REQUEST.GLOBAL_CLOCK_UPDATE, false);
  serveRequests(memory, vm.setup, 0, never);
  assert.equal(memory.load64(vmWord(VM_WORDS.globalUpdateDueNs)), 100_001_000n);
  ns = 100_000_999n;
  assert.equal(serveDueUpdate(memory, vm.setup), false);
  ns = 100_001_000n;
  assert.equal(serveDueUpdate(memory, vm.setup), true);
  assert.deepEqual([vm.requests(0), vm.requests(1)], [REQUEST.CLOCK_UPDATE, REQUEST.CLOCK_UPDATE]);
  assert.deepEqual(vm.kicks, [0, 1]);
  assert.equal(serveDueUpdate(memory, vm.setup), false);
});

/** Every order of the two threads' operations; what each run ends with. */
function everyOrder<T>(a: () => [BareVm, Thread, Thread], end: (vm: BareVm) => T): T[] {
  const ends: T[] = [];
  const orders: boolean[][] = [[]];
  for (let order = orders.pop(); order !== undefined; order = orders.pop()) {
    const [vm, one, two] = a();
    for (const first of order) (first ? one : two).step();
    if (one.finished && two.finished) ends.push(end(vm));
    if (!one.finished) orders.push([...order, true]);
    if (!two.finished) orders.push([...order, false]);
  }
  return ends;
}

/** The gate against one who stores a request and then looks at the mode; true where both got past the other. */
function missedEachOther(gate: (cpu: HostCpu) => boolean): boolean[] {
  let opened = false;
  let seenOut = false;
  return everyOrder(
    () => {
      const vm = bareVm();
      opened = false;
      seenOut = false;
      const vcpu = new Thread(vm.memory, (cpu) => {
        opened = gate(cpu);
      });
      const freezer = new Thread(vm.memory, (cpu) => {
        cpu.fetchOr32(vcpuWord(1, VCPU_WORDS.requests), REQUEST.MCLOCK_INPROGRESS);
        seenOut = cpu.load32(vcpuWord(1, VCPU_WORDS.mode)) !== IN_GUEST_MODE;
      });
      return [vm, vcpu, freezer];
    },
    () => opened && seenOut,
  );
}

test('openGate() and a freezer never miss each other, in any order of their operations', () => {
  const ends = missedEachOther((cpu) => openGate(cpu, 1));
  assert.ok(ends.length >= 6);
  assert.ok(!ends.includes(true));
});

test('a gate that looks at the requests before it stores the mode is caught', () => {
  const ends = missedEachOther((cpu) => {
    const free = cpu.load32(vcpuWord(1, VCPU_WORDS.requests)) === 0;
    if (free) cpu.store32(vcpuWord(1, VCPU_WORDS.mode), IN_GUEST_MODE);
    return free;
  });
  assert.ok(ends.includes(true));
});

test('enter() sleeps while an update holds the vCPU out, and enters with the new record when it is over', () => {
  const vm = bareVm({ freeze: 'kvm' });
  const updater = new Thread(vm.memory, (cpu) => updateMasterClock(cpu, vm.setup, next));
  assert.ok(updater.until(() => vm.requests(1) === REQUEST.MCLOCK_INPROGRESS));
  const vcpu = new Thread(vm.memory, (cpu) => enter(cpu, vm.setup, 1, never));
  vcpu.step(50);
  assert.equal(vcpu.finished, false);
  assert.equal(vm.mode(1), OUTSIDE_GUEST_MODE);
  assert.ok(vcpu.done.includes('wait32'));
  updater.step(1000);
  assert.equal(updater.finished, true);
  vcpu.step(100);
  assert.equal(vcpu.finished, true);
  assert.equal(vm.mode(1), IN_GUEST_MODE);
  assert.deepEqual(lineIn(vm.record(1)), lineOf(copyAt(1n)));
});

test('thaw() wakes a vCPU that an update holds out, and leave() an update that waits for a vCPU', () => {
  const vm = bareVm();
  freeze(vm.memory, vm.setup);
  enter(sleeper(vm.memory, [(cpu) => thaw(cpu, vm.setup)]), vm.setup, 1, never);
  assert.equal(vm.mode(1), IN_GUEST_MODE);
  freeze(sleeper(vm.memory, [(cpu) => leave(cpu, 1)]), vm.setup);
  assert.deepEqual([vm.mode(1), vm.requests(1)], [OUTSIDE_GUEST_MODE, REQUEST.MCLOCK_INPROGRESS]);
});
