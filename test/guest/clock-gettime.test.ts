import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CLOCK_BASE, CLOCK_MODE, clockBaseAddress, MAX_VALID_CYCLES } from '../../src/abi/clock-base.ts';
import * as id from '../../src/abi/clock-id.ts';
import type { Pvti } from '../../src/abi/pvti.ts';
import {
  type ClockCall,
  clockGettime,
  gettimeofday,
  readClock,
  systemClockGettime,
  time,
} from '../../src/guest/clock-gettime.ts';
import type { GuestCpu } from '../../src/guest/cpu.ts';
import { READERS } from '../../src/guest/readers.ts';
import { lineAt } from '../../src/guest/sequence.ts';
import { BASES, ClockWorld, PAGE, type SequencedBase } from './clock-world.ts';

const SECOND = 1_000_000_000n;
const U63 = (1n << 63n) - 1n;

const RECORD: Pvti = {
  version: 4,
  tscTimestamp: 1_000_000n,
  systemTime: 7_000_000_000n,
  tscToSystemMul: 0x8000_0000,
  tscShift: 0,
  flags: 1,
};

/** Half a nanosecond a cycle of the TSC; 20.25 s at its base. */
const BASE: SequencedBase = {
  sequence: 8,
  mode: CLOCK_MODE.TSC,
  cycleLast: 5_000n,
  validCycles: MAX_VALID_CYCLES,
  mult: 1 << 23,
  shift: 24,
  sec: 20n,
  shiftedNsec: 250_000_000n << 24n,
  errorNs: 0n,
  errorPpb: 0,
};

const noKernel: ClockCall = () => assert.fail('the kernel was asked');
const clock = id.CLOCK_REALTIME;

const begin = ['load32 0.sequence', 'readBarrier', 'load32 0.mode'];
const line = [
  ...['load64 0.cycleLast', 'load64 0.validCycles', 'load32 0.mult', 'load32 0.shift'],
  ...['load64 0.sec', 'load64 0.shiftedNsec'],
];
const end = ['readBarrier', 'load32 0.sequence'];
const landed = [
  ...['load32 record.version', 'readBarrier', 'load8 record.flags', 'rdtscOrdered'],
  ...[
    'load32 record.tscToSystemMul',
    'load8 record.tscShift',
    'load64 record.systemTime',
    'load64 record.tscTimestamp',
  ],
  ...['readBarrier', 'load32 record.version'],
];

describe('readClock()', () => {
  type ReadClock = typeof readClock;

  function checkOrder(read: ReadClock): void {
    for (const [mode, counter] of [
      [CLOCK_MODE.TSC, ['rdtscOrdered']],
      [CLOCK_MODE.PVCLOCK, landed],
      [CLOCK_MODE.COARSE, ['load64 0.cycleLast']],
    ] as const) {
      const world = new ClockWorld(6_000n).putRecord(RECORD).putBase(clock, { ...BASE, mode });
      assert.notEqual(read(world, PAGE, clock), undefined);
      assert.deepEqual(world.log, [...begin, ...counter, ...line, ...end]);
    }
  }

  test('readClock() does its accesses in its own order, and each once, in every mode', () => checkOrder(readClock));

  test('the comparison catches a read without a barrier, one that reads the counter first, and one that asks the record in vain', () => {
    const noBarrier: ReadClock = (cpu, page, which) => readClock(altered(cpu, { readBarrier() {} }), page, which);
    const early: ReadClock = (cpu, page, which) => {
      const tsc = cpu.rdtscOrdered();
      return readClock(altered(cpu, { rdtscOrdered: () => tsc }), page, which);
    };
    const vain: ReadClock = (cpu, page, which) => {
      page.read(cpu, page.records);
      return readClock(cpu, page, which);
    };
    for (const broken of [noBarrier, early, vain]) assert.throws(() => checkOrder(broken));
  });

  test('readClock() gives the line by the TSC, by the record, and the base itself where the clock is coarse', () => {
    const at = (mode: number) => {
      const world = new ClockWorld(6_000_000n).putRecord(RECORD).putBase(clock, { ...BASE, mode });
      const operations = begin.length + (mode === CLOCK_MODE.PVCLOCK ? landed.indexOf('rdtscOrdered') : 0) + 1;
      const tsc = 6_000_000n + BigInt(operations);
      return { ns: nsOf(readClock(world, PAGE, clock)), tsc };
    };
    const start = 20n * SECOND + 250_000_000n;
    const tsc = at(CLOCK_MODE.TSC);
    assert.equal(tsc.ns, start + (tsc.tsc - 5_000n) / 2n);
    const pvclock = at(CLOCK_MODE.PVCLOCK);
    assert.equal(pvclock.ns, start + (lineAt(pvclock.tsc, 1_000_000n, 7_000_000_000n, 0x8000_0000, 0) - 5_000n) / 2n);
    assert.equal(at(CLOCK_MODE.COARSE).ns, start);
  });

  test('readClock() takes any reader for the record', () => {
    for (const make of Object.values(READERS)) {
      const world = new ClockWorld(6_000_000n, 0n).putRecord(RECORD);
      world.putBase(clock, { ...BASE, mode: CLOCK_MODE.PVCLOCK });
      const cpu = altered(world, { vcpu: () => 0 });
      const counter = lineAt(6_000_000n, 1_000_000n, 7_000_000_000n, 0x8000_0000, 0);
      assert.equal(nsOf(readClock(cpu, { ...PAGE, read: make() }, clock)), 20_250_000_000n + (counter - 5_000n) / 2n);
    }
  });

  test('readClock() gives nothing for a mode of NONE, an unstable record, an empty page and clocks without a base', () => {
    const none = new ClockWorld().putBase(clock, { ...BASE, mode: CLOCK_MODE.NONE });
    assert.equal(readClock(none, PAGE, clock), undefined);
    assert.deepEqual(none.log, begin, 'and touches nothing else');
    const unstable = new ClockWorld().putRecord({ ...RECORD, flags: 0 });
    unstable.putBase(clock, { ...BASE, mode: CLOCK_MODE.PVCLOCK });
    assert.equal(readClock(unstable, PAGE, clock), undefined);
    for (const which of [0, 2, 3, 8, 9, 10, 12, 16, 2 ** 31 - 1, -1, -(2 ** 31)]) {
      assert.equal(readClock(new ClockWorld(), PAGE, which), undefined);
    }
  });

  const bases = fc.record({
    sequence: fc.integer({ min: 0, max: 0x7fff_ffff }).map((half) => half * 2),
    mode: fc.constant(CLOCK_MODE.TSC),
    cycleLast: fc.bigInt({ min: 0n, max: U63 }),
    validCycles: fc.oneof(fc.constant(MAX_VALID_CYCLES), fc.bigInt({ min: 0n, max: MAX_VALID_CYCLES })),
    mult: fc.integer({ min: 0, max: 0xffff_ffff }),
    shift: fc.integer({ min: 0, max: 33 }),
    sec: fc.bigInt({ min: -(1n << 40n), max: 1n << 40n }),
    shiftedNsec: fc.bigInt({ min: 0n, max: SECOND - 1n }),
    errorNs: fc.constant(0n),
    errorPpb: fc.constant(0),
  });
  const counters = fc.oneof(fc.bigInt({ min: -(1n << 40n), max: 1n << 40n }), fc.bigInt({ min: -U63, max: U63 }));

  /** What the base and a counter say, written down once more: seconds and ns, at or past the base, never past its validity. */
  function reference(base: SequencedBase, tsc: bigint): { ns: bigint; old: boolean } {
    let delta = BigInt.asIntN(63, tsc - base.cycleLast);
    const old = (delta < 0n ? -delta : delta) > base.validCycles;
    if (old) delta = base.validCycles;
    if (delta < 0n) delta = 0n;
    const ns = BigInt.asUintN(64, (delta * BigInt(base.mult) + base.shiftedNsec) >> BigInt(base.shift));
    return { ns: base.sec * SECOND + ns, old };
  }

  function checkReference(read: ReadClock): void {
    fc.assert(
      fc.property(bases, counters, (base, away) => {
        const tsc = BigInt.asUintN(64, base.cycleLast + away);
        const reading = read(new ClockWorld(tsc, 0n).putBase(clock, base), PAGE, clock);
        const { ns, old } = reference(base, tsc);
        assert.deepEqual({ ns: nsOf(reading), old: reading?.old }, { ns, old });
      }),
      { numRuns: 2000 },
    );
  }

  test('readClock() is the bigint reference for any base and any counter', () => checkReference(readClock));

  test('that check catches a read without the clamp, one that goes on past its validity, and one that bears any counter behind', () => {
    const far = (delta: bigint, valid: bigint) => (delta < 0n ? -delta : delta) > valid;
    const level = (delta: bigint) => (delta < 0n ? 0n : delta);
    checkReference(
      rewritten((delta, valid) =>
        far(delta, valid) ? { delta: valid, old: true } : { delta: level(delta), old: false },
      ),
    );
    const noClamp = rewritten((delta, valid) =>
      far(delta, valid) ? { delta: valid, old: true } : { delta, old: false },
    );
    const noLimit = rewritten((delta, valid) => ({ delta: level(delta), old: far(delta, valid) }));
    const anyBehind = rewritten((delta, valid) =>
      delta > valid ? { delta: valid, old: true } : { delta: level(delta), old: false },
    );
    for (const broken of [noClamp, noLimit, anyBehind]) assert.throws(() => checkReference(broken));
  });

  /** A read whose choice of the delta is handed in. */
  function rewritten(choose: (delta: bigint, valid: bigint) => { delta: bigint; old: boolean }): ReadClock {
    return (cpu, page, which) => {
      const at = (field: keyof typeof CLOCK_BASE) => clockBaseAddress(page.bases, which) + CLOCK_BASE[field];
      const valid = cpu.load64(at('validCycles'));
      const { delta, old } = choose(BigInt.asIntN(63, cpu.rdtscOrdered() - cpu.load64(at('cycleLast'))), valid);
      const product = delta * BigInt(cpu.load32(at('mult'))) + cpu.load64(at('shiftedNsec'));
      const ns = BigInt.asUintN(64, product >> BigInt(cpu.load32(at('shift'))));
      const sec = BigInt.asIntN(64, cpu.load64(at('sec')));
      return { sec: sec + ns / SECOND, nsec: Number(ns % SECOND), old };
    };
  }

  const AFTER = { ...BASE, sequence: 10, cycleLast: 6_004n, mult: 3 << 22, sec: 900n };

  /** A base rewritten between any two operations, in two halves: the answer is on one line, that of the last whole one. */
  function checkNeverTorn(read: ReadClock): void {
    for (let first = 1; first <= 30; first++) {
      for (let second = first; second <= 30; second++) {
        const world = new ClockWorld(6_000n, 0n).putBase(clock, BASE);
        const half = { ...BASE, sequence: 9, cycleLast: AFTER.cycleLast, mult: AFTER.mult };
        world.before(first, () => world.putBase(clock, half)).before(second, () => world.putBase(clock, AFTER));
        const ns = nsOf(read(world, PAGE, clock));
        const right = [BASE, AFTER].map((base) => reference(base, 6_000n).ns);
        assert.ok(
          ns !== undefined && right.includes(ns),
          `before operations ${first} and ${second}: ${ns}\n${world.log}`,
        );
      }
    }
  }

  test('readClock() gives a time on one line wherever an update falls', () => checkNeverTorn(readClock));

  test('that check catches a read without its retry', () => {
    const once: ReadClock = (cpu, page, which) => {
      const sequence = clockBaseAddress(page.bases, which);
      let seen: number | undefined;
      const load32 = (address: number) => {
        const value = cpu.load32(address);
        if (address !== sequence) return value;
        seen ??= value & ~1;
        return seen;
      };
      return readClock(altered(cpu, { load32 }), page, which);
    };
    assert.throws(() => checkNeverTorn(once));
  });

  test('readClock() goes round while the sequence is odd, and after the record was written', () => {
    const world = new ClockWorld(6_000n)
      .putRecord(RECORD)
      .putBase(clock, { ...BASE, sequence: 7, mode: CLOCK_MODE.PVCLOCK });
    const round = begin.length + landed.length + line.length + end.length;
    world.before(round + 1, () => world.putBase(clock, { ...BASE, mode: CLOCK_MODE.PVCLOCK }));
    world.before(round + 10, () => world.putRecord({ ...RECORD, version: 6 }));
    readClock(world, PAGE, clock);
    assert.deepEqual(world.log, [
      ...[...begin, ...landed, ...line, ...end, 'relax'],
      ...[...begin, ...landed, 'relax', ...landed, ...line, ...end],
    ]);
  });
});

describe('clockGettime()', () => {
  test('clockGettime() leaves to the kernel what the page does not know, and passes its error on', () => {
    const world = new ClockWorld();
    for (const which of [2, 3, 8, 9, 10, 12, 15, 16, 99]) {
      assert.deepEqual(
        clockGettime(world, PAGE, which, (asked) => ({ sec: BigInt(asked), nsec: 5 })),
        { sec: BigInt(which), nsec: 5 },
      );
    }
    const counter = () => 0n;
    for (const which of [-1, -(2 ** 31), 2 ** 31 - 1, 2, 12]) {
      const kernel: ClockCall = (asked) => systemClockGettime(world, BASES, asked, counter);
      assert.equal(clockGettime(world, PAGE, which, kernel), -22);
    }
  });

  test("clockGettime() never gives less than a base that has grown too old has given, and the kernel's time beyond", () => {
    const base = { ...BASE, validCycles: 1_000n }; // 500 ns
    const latest = 20_250_000_500n;
    for (const [kernelNs, expected] of [
      [latest - 1n, latest],
      [latest, latest],
      [latest + 1n, latest + 1n],
      [latest - SECOND, latest],
      [latest + SECOND - 1n, latest + SECOND - 1n],
      [latest + SECOND, latest + SECOND],
    ] as const) {
      const world = new ClockWorld(7_000n).putBase(clock, base);
      const kernel = () => ({ sec: kernelNs / SECOND, nsec: Number(kernelNs % SECOND) });
      assert.equal(nsOf(clockGettime(world, PAGE, clock, kernel)), expected);
    }
    const world = new ClockWorld(7_000n).putBase(clock, base);
    assert.equal(
      clockGettime(world, PAGE, clock, () => -22),
      -22,
    );
    const young = new ClockWorld(5_990n, 0n).putBase(clock, base);
    assert.equal(nsOf(clockGettime(young, PAGE, clock, noKernel)), 20_250_000_495n);
  });

  test('gettimeofday() is CLOCK_REALTIME in microseconds, rounded down', () => {
    const base = { ...BASE, mode: CLOCK_MODE.COARSE, shiftedNsec: 999_999_999n << 24n };
    const world = new ClockWorld().putBase(clock, base);
    assert.deepEqual(gettimeofday(world, PAGE, noKernel), { sec: 20n, usec: 999_999 });
    assert.equal(
      gettimeofday(new ClockWorld(), PAGE, () => -22),
      -22,
    );
  });

  test('time() is the second of the base of CLOCK_REALTIME, in one load', () => {
    const world = new ClockWorld().putBase(clock, { ...BASE, sec: -3n });
    assert.equal(time(world, PAGE), -3n);
    assert.deepEqual(world.log, ['load64 0.sec']);
  });

  test('readClock() and time() know every second that an s64 holds', () => {
    for (const sec of [-(1n << 63n), -(1n << 62n) - 1n, 1n << 62n, (1n << 63n) - 1n]) {
      const world = new ClockWorld().putBase(clock, { ...BASE, mode: CLOCK_MODE.COARSE, sec });
      assert.equal(readClock(world, PAGE, clock)?.sec, sec);
      assert.equal(time(world, PAGE), sec);
    }
  });
});

function nsOf(reading: { sec: bigint; nsec: number } | number | undefined): bigint | undefined {
  assert.notEqual(typeof reading, 'number');
  if (reading === undefined || typeof reading === 'number') return undefined;
  return reading.sec * SECOND + BigInt(reading.nsec);
}

/** `cpu` with some of its operations replaced. */
function altered(cpu: GuestCpu, by: Partial<GuestCpu>): GuestCpu {
  return {
    load8: (address) => cpu.load8(address),
    load32: (address) => cpu.load32(address),
    load64: (address) => cpu.load64(address),
    rdtscOrdered: () => cpu.rdtscOrdered(),
    rdtsc: () => cpu.rdtsc(),
    rdtscp: () => cpu.rdtscp(),
    readBarrier: () => cpu.readBarrier(),
    loadFence: () => cpu.loadFence(),
    vcpu: () => cpu.vcpu(),
    relax: () => cpu.relax(),
    ...by,
  };
}
