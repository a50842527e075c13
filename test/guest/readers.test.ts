import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PVTI } from '../../src/abi/pvti.ts';
import { cached, emptyLine } from '../../src/guest/cached.ts';
import type { GuestCpu, Reader } from '../../src/guest/cpu.ts';
import { READERS } from '../../src/guest/readers.ts';
import { cyclesToNs, evenVersion, lineAt, readCycles, signed8 } from '../../src/guest/sequence.ts';
import { checkBitBelongs, checkMigration, checkNeverTorn, MOVED } from './interleavings.ts';
import { RECORDS, rewrite, ScriptedCpu, STABLE, timeAt } from './scripted-cpu.ts';

const UNSTABLE = { ...STABLE, flags: 0 };

/** `landed` as it would be without one of its parts. */
const noRetry: Reader = (cpu, records) => {
  cpu.load32(records + PVTI.version);
  return readCycles(cpu, records);
};
const oddAccepted: Reader = (cpu, records) => {
  for (;;) {
    const version = cpu.load32(records + PVTI.version);
    const ns = readCycles(cpu, records);
    if (cpu.load32(records + PVTI.version) === version) return ns;
    cpu.relax();
  }
};
const oddOnly: Reader = (cpu, records) => {
  for (;;) {
    const version = cpu.load32(records + PVTI.version);
    const ns = readCycles(cpu, records);
    if ((version & 1) === 0) return ns;
    cpu.relax();
  }
};
const bodyAfterVersion: Reader = (cpu, records) => {
  for (;;) {
    const tsc = cpu.rdtscOrdered();
    const version = evenVersion(cpu.load32(records + PVTI.version));
    if (cpu.load32(records + PVTI.version) === version) return cyclesToNs(cpu, records, tsc);
    cpu.relax();
  }
};

describe('every reader', () => {
  for (const [name, make] of Object.entries(READERS)) {
    test(`${name}() gives one record's time wherever an update falls`, () => checkNeverTorn(make));

    test(`${name}() goes round again, with a relax(), on an odd version and on one that changed`, () => {
      const odd = new ScriptedCpu({ ...STABLE, version: 5 });
      odd.before(30, () => rewrite(odd, MOVED));
      assert.equal(make()(odd, RECORDS), timeAt(MOVED, odd.readAt));
      assert.ok(odd.log.slice(0, 29).includes('relax'), 'while the version is odd');

      const changed = new ScriptedCpu(STABLE);
      changed.beforeFirst('load64 0.systemTime', () => rewrite(changed, MOVED));
      assert.equal(make()(changed, RECORDS), timeAt(MOVED, changed.readAt));
      assert.ok(changed.log.includes('relax'));
    });

    test(`${name}() takes the shift for signed, and a version that is about to wrap`, () => {
      const record = { ...STABLE, version: 0xffff_fffe, tscShift: -3, tscToSystemMul: 0xffff_ffff };
      const cpu = new ScriptedCpu(record);
      assert.equal(make()(cpu, RECORDS), timeAt(record, cpu.readAt));
    });

    test(`${name}() gives a time far ahead for a TSC behind the timestamp: the protocol has no guard`, () => {
      const record = { ...STABLE, tscTimestamp: 3_000_000n };
      const cpu = new ScriptedCpu(record);
      assert.ok(make()(cpu, RECORDS)! > 1n << 62n);
    });
  }

  for (const name of ['before', 'rfc', 'landed', 'cached', 'relaxed'] as const) {
    test(`${name}() is undefined where the record is not stable`, () => {
      assert.equal(READERS[name]()(new ScriptedCpu(UNSTABLE), RECORDS), undefined);
    });
  }

  for (const [fault, broken] of Object.entries({ noRetry, oddAccepted, oddOnly, bodyAfterVersion })) {
    test(`the check of every update catches a reader with the fault ${fault}`, () => {
      assert.throws(() => checkNeverTorn(() => broken), /update before operations/);
    });
  }
});

describe('the stable bit', () => {
  for (const name of ['before', 'landed', 'cached', 'relaxed'] as const) {
    test(`${name}() never gives a time from a record that is not stable`, () => checkBitBelongs(READERS[name]));
  }

  test('rfc() can: its bit and its values may come from different updates', () => {
    assert.throws(() => checkBitBelongs(READERS.rfc), /update before operations/);
    const cpu = new ScriptedCpu(STABLE);
    cpu.before(2, () => rewrite(cpu, { ...MOVED, flags: 0 }));
    assert.equal(READERS.rfc()(cpu, RECORDS), timeAt(MOVED, cpu.readAt));
  });

  test('landed() asks the kernel rather than look twice where it meets a torn bit', () => {
    const cpu = new ScriptedCpu({ ...UNSTABLE, version: 5 });
    assert.equal(READERS.landed()(cpu, RECORDS), undefined);
    assert.ok(!cpu.log.includes('relax'));
  });
});

describe('cached()', () => {
  const full = (): Reader => {
    const line = emptyLine();
    cached(new ScriptedCpu(STABLE), RECORDS, line);
    return (cpu, records) => cached(cpu, records, line);
  };

  /** One reader, called after each of some updates, gives the new record's time or none. */
  function checkFollows(make: () => Reader): void {
    const cpu = new ScriptedCpu(STABLE);
    const reader = make();
    const lost = { ...STABLE, version: 8, flags: 0 };
    const back = [0, 2, 10].map((version) => ({ ...MOVED, version }));
    for (const record of [STABLE, MOVED, ...back.flatMap((record) => [lost, record])]) {
      rewrite(cpu, record);
      for (let call = 0; call < 2; call++) {
        const ns = reader(cpu, RECORDS);
        assert.equal(ns, record.flags === 0 ? undefined : timeAt(record, cpu.readAt));
      }
    }
  }

  test('cached() takes over the new line when the version moves, and keeps no line that is not stable', () => {
    checkFollows(READERS.cached);
    checkFollows(full);
  });

  test('that check catches one that keeps its line without a look at the version, or at the bit', () => {
    const stubborn = (): Reader => {
      const line = emptyLine();
      cached(new ScriptedCpu(STABLE), RECORDS, line);
      return (cpu) => lineAt(cpu.rdtscOrdered(), line.tscTimestamp, line.systemTime, line.mul, line.shift);
    };
    const trusting = (): Reader => (cpu, records) => readCycles(cpu, records);
    for (const broken of [stubborn, trusting]) assert.throws(() => checkFollows(broken));
  });

  test('cached() with an empty line takes any version for a new one, and waits for the first write to end', () => {
    for (const version of [0, 2]) {
      const cpu = new ScriptedCpu({ ...STABLE, version });
      assert.equal(READERS.cached()(cpu, RECORDS), timeAt(STABLE, cpu.readAt));
    }
    const cpu = new ScriptedCpu({ ...STABLE, version: 1 });
    cpu.before(30, () => rewrite(cpu, { ...MOVED, version: 2 }));
    assert.equal(READERS.cached()(cpu, RECORDS), timeAt(MOVED, cpu.readAt));
  });

  test("cached() with a full line gives one record's time wherever an update falls", () => checkNeverTorn(full));

  test('cached() with a full line never gives a time from a record that is not stable', () => checkBitBelongs(full));
});

describe('migration to another vCPU during the call', () => {
  test('before() reads the wrong TSC where the thread is moved for that read alone and back (1-0-1)', () => {
    assert.throws(() => checkMigration(READERS.before, 1), /moved before operations/);
    const cpu = migrating('rdtscOrdered', 'load32 1.tscToSystemMul');
    const ns = READERS.before()(cpu, RECORDS)!;
    assert.equal(timeAt(STABLE, cpu.readAt) - ns, 2500n); // 5000 cycles of a TSC at 2 GHz
    assert.ok(!cpu.log.includes('relax'));
  });

  test('before() goes round again where the thread stays on the other vCPU', () => {
    const cpu = migrating('rdtscOrdered');
    assert.equal(READERS.before()(cpu, RECORDS), timeAt(STABLE, cpu.readAt));
    assert.ok(cpu.log.includes('relax'));
  });

  test('freebsd() is right wherever the thread is moved: number and TSC come from one instruction', () => {
    checkMigration(READERS.freebsd, 0);
  });

  test('that check catches the number and the TSC taken by two instructions', () => {
    const twoInstructions: Reader = (cpu, records) => {
      const split: GuestCpu = {
        load8: (address) => cpu.load8(address),
        load32: (address) => cpu.load32(address),
        load64: (address) => cpu.load64(address),
        rdtscOrdered: () => cpu.rdtscOrdered(),
        rdtsc: () => cpu.rdtsc(),
        rdtscp: () => ({ vcpu: cpu.vcpu(), tsc: cpu.rdtscOrdered() }),
        readBarrier: () => cpu.readBarrier(),
        loadFence: () => cpu.loadFence(),
        vcpu: () => cpu.vcpu(),
        relax: () => cpu.relax(),
      };
      return READERS.freebsd()(split, records);
    };
    assert.throws(() => checkMigration(() => twoInstructions, 0), /moved before operations/);
  });

  /** A thread on vCPU 1 whose TSC is 5000 ahead, moved to vCPU 0 before the first of two operations, and back. */
  function migrating(away: string, back?: string): ScriptedCpu {
    const cpu = new ScriptedCpu(STABLE, { ...STABLE, tscTimestamp: STABLE.tscTimestamp + 5000n });
    cpu.tscAhead[1] = 5000n;
    cpu.on = 1;
    cpu.beforeFirst(away, () => {
      cpu.on = 0;
    });
    if (back !== undefined) {
      cpu.beforeFirst(back, () => {
        cpu.on = 1;
      });
    }
    return cpu;
  }
});

test('lineAt() takes cycles and ns mod 2^64: a TSC behind the timestamp is nearly 2^64 ahead of it', () => {
  const behind = (shift: number) => lineAt(0n, 1n, 0n, 0x8000_0000, shift);
  assert.equal(behind(0), 0x7fff_ffff_ffff_ffffn);
  assert.equal(behind(-1), 0x3fff_ffff_ffff_ffffn);
  assert.equal(lineAt(4n, 0n, (1n << 64n) - 1n, 0x8000_0000, 0), 1n);
});

test('signed8() and evenVersion() keep their ranges', () => {
  assert.deepEqual([0, 1, 127, 128, 255].map(signed8), [0, 1, 127, -128, -1]);
  assert.deepEqual([0, 1, 2, 0x8000_0001, 0xffff_ffff].map(evenVersion), [0, 0, 2, 0x8000_0000, 0xffff_fffe]);
});
