/** Calls at random, in any order, with values from all over their range: what must hold after each, and at the end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  MSR_IA32_TSC,
  MSR_IA32_TSC_ADJUST,
  MSR_KVM_SYSTEM_TIME,
  MSR_KVM_SYSTEM_TIME_NEW,
  MSR_KVM_WALL_CLOCK_NEW,
} from '../../src/abi/msr.ts';
import { FLAVOURS, type Flavour } from '../../src/hypervisor/flavours.ts';
import { REQUEST } from '../../src/hypervisor/request-bits.ts';
import type { SavedClock } from '../../src/hypervisor/save.ts';
import { ClockError } from '../../src/hypervisor/vm.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from '../../src/hypervisor/words.ts';
import { RECORDS, type World, world } from './world.ts';

const VCPUS = 3;
const SEC = 1_000_000_000n;

type Call = (vm: World, vcpu: number, value: bigint) => void;

/** `value` is a u64, most often a small one. */
const ANY_CALL: Record<string, Call> = {
  run: (vm, vcpu) => void (vm.hypervisor.tryEnter(vcpu) && vm.hypervisor.leave(vcpu)),
  pass: (vm, _, value) => vm.host.advanceNs(value % (1000n * SEC)),
  record: (vm, vcpu) => void vm.hypervisor.wrmsr(vcpu, MSR_KVM_SYSTEM_TIME_NEW, BigInt(RECORDS + 64 * vcpu) | 1n),
  recordElsewhere: (vm, vcpu, value) => void vm.hypervisor.wrmsr(vcpu, MSR_KVM_SYSTEM_TIME_NEW, value % 4096n),
  oldMsr: (vm, vcpu) => void vm.hypervisor.wrmsr(vcpu, MSR_KVM_SYSTEM_TIME, BigInt(RECORDS + 64 * vcpu) | 1n),
  noRecord: (vm, vcpu) => void vm.hypervisor.wrmsr(vcpu, MSR_KVM_SYSTEM_TIME_NEW, 0n),
  wall: (vm, vcpu, value) => void vm.hypervisor.wrmsr(vcpu, MSR_KVM_WALL_CLOCK_NEW, value % 4096n),
  guestTsc: (vm, vcpu, value) => void vm.hypervisor.wrmsr(vcpu, MSR_IA32_TSC, value),
  hostTsc: (vm, vcpu, value) => vm.hypervisor.writeTsc(vcpu, value),
  adjust: (vm, vcpu, value) => void vm.hypervisor.wrmsr(vcpu, MSR_IA32_TSC_ADJUST, value),
  offset: (vm, vcpu, value) => vm.hypervisor.setTscOffset(vcpu, value),
  sameOffsets: (vm) => each((vcpu) => vm.hypervisor.setTscOffset(vcpu, 5n)),
  rate: (vm, vcpu, value) => vm.hypervisor.setTscHz(vcpu, value),
  hostRate: (vm, _, value) => {
    vm.host.setTscHz(1000n + (value % (6n * SEC)));
    vm.hypervisor.hostRateChanged();
  },
  garbage: (vm, vcpu, value) => vm.memory.store32(RECORDS + 64 * vcpu, Number(value & 0xffff_ffffn)),
  setClock: (vm, _, value) => vm.hypervisor.setClock({ clock: value, flags: 0 }),
  setClockRealtime: (vm, _, value) => vm.hypervisor.setClock({ clock: value, flags: 4, realtime: value }),
  moveClock: (vm, vcpu) => vm.hypervisor.setClockGuest(vcpu, vm.hypervisor.getClockGuest(vcpu)),
  stopped: (vm, vcpu) => vm.hypervisor.kvmclockCtrl(vcpu),
  refresh: (vm) => vm.hypervisor.refresh(),
  suspend: (vm) => vm.hypervisor.hostSuspending(),
  resume: (vm) => vm.hypervisor.hostResumed(),
  sleep: (vm, _, value) => {
    vm.hypervisor.hostSuspending();
    vm.host.sleep(SEC, value);
    vm.hypervisor.hostResumed();
  },
  clocksource: (vm, _, value) => {
    vm.host.keepTimeByTsc(value % 2n === 0n);
    vm.hypervisor.hostClocksourceChanged();
  },
  moved: (vm, vcpu, value) => vm.hypervisor.vcpuMoved(vcpu, value),
  tick: (vm) => vm.hypervisor.tick(),
  restore: (vm) => vm.hypervisor.restore(JSON.parse(JSON.stringify(vm.hypervisor.save())) as SavedClock, 'passed'),
};

function each(act: (vcpu: number) => void): void {
  for (let vcpu = 0; vcpu < VCPUS; vcpu++) act(vcpu);
}

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const edges = fc.constantFrom(0n, 1n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n);
const value = fc.oneof({ weight: 4, arbitrary: fc.bigInt({ min: 0n, max: 10n * SEC }) }, edges, u64);

/** Calls by name; every other one lets a vCPU run or time pass. */
function histories(names: readonly string[]): fc.Arbitrary<[string, number, bigint][]> {
  const name = fc.oneof(fc.constantFrom('run', 'pass'), fc.constantFrom(...names));
  return fc.array(fc.tuple(name, fc.nat(VCPUS - 1), value), { maxLength: 40, size: 'max' });
}

/** A call may be answered with an error number, and with nothing else. */
function make(vm: World, name: string, vcpu: number, argument: bigint): void {
  try {
    ANY_CALL[name]!(vm, vcpu, argument);
  } catch (error) {
    if (!(error instanceof ClockError)) throw error;
  }
}

/** No call leaves a lock, a freeze or a vCPU that cannot run; and, if they are to `agree`, a stable record says what GET_CLOCK says. */
function anyOrderHolds(flavour: Flavour, tscScaling: boolean, agree: boolean): void {
  fc.assert(
    fc.property(histories(Object.keys(ANY_CALL)), value, (history, tsc) => {
      const vm = world({ vcpus: VCPUS, flavour, tscScaling, start: { tsc } });
      for (const [name, vcpu, argument] of history) {
        make(vm, name, vcpu, argument);
        assert.equal(vm.memory.load32(vmWord(VM_WORDS.lock)), 0, `${name} left the lock taken`);
        each((other) => {
          const requests = vm.memory.load32(vcpuWord(other, VCPU_WORDS.requests));
          assert.equal(requests & REQUEST.MCLOCK_INPROGRESS, 0, `${name} left vCPU ${other} held out`);
        });
      }
      vm.hypervisor.refresh();
      for (let turn = 0; turn < 4; turn++) each((vcpu) => void make(vm, 'run', vcpu, 0n));
      each((vcpu) => assert.ok(vm.hypervisor.tryEnter(vcpu), `vCPU ${vcpu} cannot run`));
      vm.host.advanceNs(1000n * SEC);
      each((vcpu) => {
        const kept = vm.memory.load64(vcpuWord(vcpu, VCPU_WORDS.record)) === (BigInt(RECORDS + 64 * vcpu) | 1n);
        if (!kept || !agree) return;
        const { version, flags } = vm.record(vcpu);
        assert.equal(version % 2, 0);
        if ((flags & 1) === 1) assert.equal(vm.clock(vcpu), vm.hypervisor.getClock().clock);
      });
    }),
    { numRuns: 500, seed: 20141222 },
  );
}

for (const tscScaling of [true, false]) {
  test(`any order of calls leaves a VM that runs, and whose records say what its clock says; scaling ${tscScaling}`, () => {
    anyOrderHolds(FLAVOURS.kvmclock, tscScaling, true);
  });
}

test('any order of calls leaves a VM that runs in the flavours of KVM too', () => {
  for (const flavour of [FLAVOURS.kvm, FLAVOURS['kvm-2015'], FLAVOURS['kvm-2014']]) anyOrderHolds(flavour, true, false);
});

test('a GET_CLOCK that goes by the rate of the host is caught by it', () => {
  assert.throws(() => anyOrderHolds({ ...FLAVOURS.kvmclock, clockIoctl: 'host-rate' }, true, true), /Property failed/);
});

/** What must not set the clock back: everything but setting it. */
const KEEPING = ['guestTsc', 'hostTsc', 'offset', 'sameOffsets', 'rate', 'hostRate', 'refresh', 'sleep', 'clocksource'];

/** No stable record, its own or record 0, ever shows a vCPU that has just entered less than any has seen before. */
function neverBack(flavour: Flavour): void {
  fc.assert(
    fc.property(histories(KEEPING), (history) => {
      const vm = world({ vcpus: VCPUS, flavour, tscScaling: true, hostHz: 2_593_992_345n });
      vm.host.slew(300_000n);
      let last = 0n;
      for (const [name, vcpu, argument] of history) {
        make(vm, name, vcpu, argument);
        if (name !== 'run') continue;
        for (const record of [vcpu, 0]) {
          if ((vm.record(record).flags & 1) === 0) continue;
          const now = vm.clock(vcpu, record);
          assert.ok(now >= last, `${now} after ${last}`);
          last = now;
        }
      }
    }),
    { numRuns: 500, seed: 20150105 },
  );
}

test('whatever else happens, no stable record takes a vCPU that was told back', () => {
  neverBack(FLAVOURS.kvmclock);
});

test('a fresh base, and a freeze that is lifted before record 0 is written, are caught by it', () => {
  const { kvmclock } = FLAVOURS;
  assert.throws(() => neverBack({ ...kvmclock, policy: { ...kvmclock.policy, base: 'kvm' } }), /Property failed/);
  assert.throws(() => neverBack({ ...kvmclock, policy: { ...kvmclock.policy, freeze: 'kvm' } }), /Property failed/);
});
