import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT, PVTI } from '../../src/abi/pvti.ts';
import type { GuestKernelCpu } from '../../src/guest/cpu.ts';
import { clearGuestStopped, type KernelClock, kernelRead } from '../../src/guest/kernel.ts';
import { clampToLast } from '../../src/guest/last-value.ts';
import { readCycles } from '../../src/guest/sequence.ts';
import { checkNeverTorn } from './interleavings.ts';
import { LAST, RECORDS, rewrite, ScriptedCpu, STABLE, timeAt } from './scripted-cpu.ts';

const VOUCHED: KernelClock = { validFlags: PVCLOCK_TSC_STABLE_BIT, last: LAST };
const UNSTABLE = { ...STABLE, flags: 0 };

describe('clampToLast()', () => {
  type Clamp = typeof clampToLast;

  /** Another vCPU hands out a later time before each operation in turn; nobody may then be given an earlier one. */
  function checkClamp(clamp: Clamp): void {
    for (let n = 1; n <= 8; n++) {
      for (const other of [50n, 150n, 250n]) {
        const cpu = new ScriptedCpu();
        cpu.memory.setBigUint64(LAST, 100n, true);
        let given = 100n;
        cpu.before(n, () => {
          const latest = cpu.memory.getBigUint64(LAST, true);
          if (other > latest) cpu.memory.setBigUint64(LAST, other, true);
          given = other > given ? other : given;
        });
        const ns = clamp(cpu, LAST, 200n);
        const last = cpu.memory.getBigUint64(LAST, true);
        assert.ok(last >= ns && last >= given, `before operation ${n}: gave ${ns} and left ${last} after ${given}`);
      }
    }
  }

  test('clampToLast() gives the later of the two and remembers it', () => {
    const cpu = new ScriptedCpu();
    assert.equal(clampToLast(cpu, LAST, 10n), 10n);
    assert.equal(clampToLast(cpu, LAST, 9n), 10n);
    assert.equal(clampToLast(cpu, LAST, 10n), 10n);
    assert.equal(clampToLast(cpu, LAST, 11n), 11n);
  });

  test('clampToLast() looks again where another vCPU came between', () => {
    const cpu = new ScriptedCpu();
    cpu.beforeFirst('compareExchange64 0x8', () => cpu.memory.setBigUint64(LAST, 150n, true));
    assert.equal(clampToLast(cpu, LAST, 100n), 150n);
    assert.deepEqual(cpu.log, ['load64 0x8', 'compareExchange64 0x8', 'relax', 'load64 0x8']);
  });

  test('clampToLast() never lets the last time go back, wherever another vCPU comes between', () =>
    checkClamp(clampToLast));

  test('that check catches a clamp that stores without an exchange, and one that forgets to store', () => {
    assert.throws(() =>
      checkClamp((cpu, last, ns) => {
        const latest = cpu.load64(last);
        if (ns <= latest) return latest;
        cpu.readBarrier();
        cpu.compareExchange64(last, cpu.load64(last), ns);
        return ns;
      }),
    );
    assert.throws(() => checkClamp((cpu, last, ns) => (ns <= cpu.load64(last) ? cpu.load64(last) : ns)));
  });

  test('clampToLast() stops the clock for all after a glitch forward', () => {
    const cpu = new ScriptedCpu();
    clampToLast(cpu, LAST, 1000n);
    assert.deepEqual(
      [1n, 500n, 999n].map((ns) => clampToLast(cpu, LAST, ns)),
      [1000n, 1000n, 1000n],
    );
  });
});

describe('kernelRead()', () => {
  test("kernelRead() gives the own record's time, without the clamp, where the clock is stable", () => {
    const cpu = new ScriptedCpu(STABLE);
    cpu.memory.setBigUint64(LAST, 1n << 62n, true);
    assert.equal(kernelRead(cpu, RECORDS, VOUCHED), timeAt(STABLE, cpu.readAt));
    assert.deepEqual(cpu.log, [
      ...['load32 0.version', 'readBarrier', 'rdtscOrdered'],
      ...['load32 0.tscToSystemMul', 'load8 0.tscShift', 'load64 0.systemTime', 'load64 0.tscTimestamp'],
      ...['load8 0.flags', 'readBarrier', 'load32 0.version'],
    ]);
  });

  test("kernelRead() gives one record's time wherever an update falls", () => {
    checkNeverTorn(() => (cpu, records) => kernelRead(cpu as ScriptedCpu, records, VOUCHED));
  });

  test('kernelRead() goes round again, with a relax(), while the version is odd', () => {
    const cpu = new ScriptedCpu({ ...STABLE, version: 5 });
    cpu.before(30, () => rewrite(cpu, STABLE));
    assert.equal(kernelRead(cpu, RECORDS, VOUCHED), timeAt(STABLE, cpu.readAt));
    assert.ok(cpu.log.slice(0, 29).includes('relax'), 'while the version is odd');
  });

  test('kernelRead() clamps where the record is not stable, or where CPUID does not vouch for the bit', () => {
    for (const [record, clock] of [
      [UNSTABLE, VOUCHED],
      [STABLE, { ...VOUCHED, validFlags: 0 }],
    ] as const) {
      const cpu = new ScriptedCpu(record);
      cpu.memory.setBigUint64(LAST, 1n << 62n, true);
      assert.equal(kernelRead(cpu, RECORDS, clock), 1n << 62n);
    }
  });

  type KernelRead = typeof kernelRead;

  function checkStoppedOnce(read: KernelRead): void {
    const cpu = new ScriptedCpu({ ...STABLE, flags: PVCLOCK_TSC_STABLE_BIT | PVCLOCK_GUEST_STOPPED });
    let told = 0;
    const clock = { ...VOUCHED, onStopped: () => told++ };
    for (let call = 0; call < 3; call++) assert.equal(read(cpu, RECORDS, clock), timeAt(STABLE, cpu.readAt));
    assert.equal(told, 1);
    assert.equal(cpu.memory.getUint8(RECORDS + PVTI.flags), PVCLOCK_TSC_STABLE_BIT);
  }

  test('kernelRead() tells of a stop once, and leaves the other flags', () => checkStoppedOnce(kernelRead));

  test('that check catches a read that does not take the bit, takes all bits, or tells nobody', () => {
    const stopped = (cpu: GuestKernelCpu, pvti: number) => (cpu.load8(pvti + PVTI.flags) & PVCLOCK_GUEST_STOPPED) !== 0;
    const notTaken: KernelRead = (cpu, pvti, clock) => {
      if (stopped(cpu, pvti)) clock.onStopped?.();
      return readCycles(cpu, pvti);
    };
    const allTaken: KernelRead = (cpu, pvti, clock) => {
      if ((cpu.fetchAnd8(pvti + PVTI.flags, 0) & PVCLOCK_GUEST_STOPPED) !== 0) clock.onStopped?.();
      return readCycles(cpu, pvti);
    };
    const silent: KernelRead = (cpu, pvti) => {
      clearGuestStopped(cpu, pvti);
      return readCycles(cpu, pvti);
    };
    for (const broken of [notTaken, allTaken, silent]) assert.throws(() => checkStoppedOnce(broken));
  });

  test('clearGuestStopped() is true for the one caller that took the note', () => {
    const cpu = new ScriptedCpu({ ...STABLE, flags: PVCLOCK_GUEST_STOPPED });
    cpu.beforeFirst('fetchAnd8 0.flags', () => cpu.memory.setUint8(RECORDS + PVTI.flags, 0));
    assert.equal(clearGuestStopped(cpu, RECORDS), false);
    cpu.memory.setUint8(RECORDS + PVTI.flags, PVCLOCK_GUEST_STOPPED);
    assert.equal(clearGuestStopped(cpu, RECORDS), true);
    assert.equal(clearGuestStopped(cpu, RECORDS), false);
  });
});
