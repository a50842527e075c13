import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CLOCK_BASE, CLOCK_MODE, clockBaseAddress } from '../../src/abi/clock-base.ts';
import * as id from '../../src/abi/clock-id.ts';
import { movedTo } from '../../src/guest/clock-base.ts';
import { readClock, systemClockGettime } from '../../src/guest/clock-gettime.ts';
import type { GuestCpu, TimekeeperCpu } from '../../src/guest/cpu.ts';
import { kernelRead } from '../../src/guest/kernel.ts';
import { type Counter, loadBase, rewriteBases } from '../../src/guest/rewrite-bases.ts';
import {
  type Change,
  type FirstBases,
  startTimekeeper,
  updateTimekeeper,
  withoutCounter,
  withRate,
  withRealtimeStep,
  withSleep,
} from '../../src/guest/timekeeper.ts';
import { BASES, ClockWorld, PAGE, SteppedWriter } from './clock-world.ts';
import { RECORDS, ScriptedCpu, STABLE } from './scripted-cpu.ts';

const SECOND = 1_000_000_000n;
/** 2 GHz: half a nanosecond a cycle. */
const FIRST: FirstBases = {
  mode: CLOCK_MODE.TSC,
  mult: 1 << 23,
  shift: 24,
  realtimeNs: 1_700_000_000n * SECOND + 999_999_000n,
  monotonicNs: 50n * SECOND,
  boottimeNs: 80n * SECOND,
  taiOffsetSec: 37,
};

function started(first: FirstBases = FIRST): ClockWorld {
  const world = new ClockWorld(1_000n, 0n);
  startTimekeeper(world, BASES, () => world.tsc, first);
  return world;
}

function ns(world: GuestCpu, clock: number): bigint {
  const reading = readClock(world, PAGE, clock);
  assert.ok(reading !== undefined);
  return reading.sec * SECOND + BigInt(reading.nsec);
}

describe('startTimekeeper() and updateTimekeeper()', () => {
  test('startTimekeeper() starts every clock where it is told', () => {
    const world = started();
    const clocks = Object.fromEntries(id.VDSO_CLOCKS.map((clock) => [clock, ns(world, clock)]));
    assert.deepEqual(clocks, {
      [id.CLOCK_REALTIME]: FIRST.realtimeNs,
      [id.CLOCK_REALTIME_COARSE]: FIRST.realtimeNs,
      [id.CLOCK_TAI]: FIRST.realtimeNs + 37n * SECOND,
      [id.CLOCK_MONOTONIC]: FIRST.monotonicNs,
      [id.CLOCK_MONOTONIC_COARSE]: FIRST.monotonicNs,
      [id.CLOCK_MONOTONIC_RAW]: FIRST.monotonicNs,
      [id.CLOCK_BOOTTIME]: FIRST.boottimeNs,
    });
  });

  test('startTimekeeper() starts them all without a fraction of a ns and without an error', () => {
    const world = started();
    for (const clock of id.VDSO_CLOCKS) {
      const { sec, shiftedNsec, shift, errorNs, errorPpb } = loadBase(world, clockBaseAddress(BASES, clock));
      assert.equal((sec * SECOND) << BigInt(shift), (ns(world, clock) << BigInt(shift)) - shiftedNsec);
      assert.deepEqual({ errorNs, errorPpb }, { errorNs: 0n, errorPpb: 0 });
    }
  });

  test('updateTimekeeper() moves the coarse clocks to the tick, and no other', () => {
    const world = started();
    world.tsc += 4_000n;
    assert.equal(ns(world, id.CLOCK_REALTIME), FIRST.realtimeNs + 2_000n, 'carried into the next second');
    assert.equal(ns(world, id.CLOCK_REALTIME_COARSE), FIRST.realtimeNs);
    updateTimekeeper(world, BASES, () => world.tsc);
    assert.equal(ns(world, id.CLOCK_REALTIME), FIRST.realtimeNs + 2_000n);
    assert.equal(ns(world, id.CLOCK_REALTIME_COARSE), FIRST.realtimeNs + 2_000n);
    assert.equal(ns(world, id.CLOCK_MONOTONIC_COARSE), FIRST.monotonicNs + 2_000n);
  });

  /** What became of each clock since `before`, at the same counter. */
  function changed(change: Change): Record<string, bigint> {
    const world = started();
    const before = id.VDSO_CLOCKS.map((clock) => ns(world, clock));
    updateTimekeeper(world, BASES, () => world.tsc, change);
    return Object.fromEntries(id.VDSO_CLOCKS.map((clock, index) => [clock, ns(world, clock) - before[index]!]));
  }
  const nothing = Object.fromEntries(id.VDSO_CLOCKS.map((clock) => [clock, 0n]));

  test('withRealtimeStep() sets the wall clocks, withSleep() those and the time since boot', () => {
    const wall = { [id.CLOCK_REALTIME]: -5n, [id.CLOCK_REALTIME_COARSE]: -5n, [id.CLOCK_TAI]: -5n };
    assert.deepEqual(changed(withRealtimeStep(-5n)), { ...nothing, ...wall });
    const slept = Object.fromEntries([...Object.keys(wall), String(id.CLOCK_BOOTTIME)].map((clock) => [clock, SECOND]));
    assert.deepEqual(changed(withSleep(SECOND)), { ...nothing, ...slept });
  });

  test('withRate() leaves every clock where it is, and changes the pace of those that NTP disciplines', () => {
    assert.deepEqual(changed(withRate(3 << 22)), nothing);
    const world = started();
    updateTimekeeper(world, BASES, () => world.tsc, withRate(3 << 22));
    world.tsc += 4_000n;
    assert.equal(ns(world, id.CLOCK_MONOTONIC), FIRST.monotonicNs + 3_000n);
    assert.equal(ns(world, id.CLOCK_MONOTONIC_RAW), FIRST.monotonicNs + 2_000n);
  });

  test('withoutCounter() leaves the coarse clocks to be read, and no other; the kernel still reads them all', () => {
    const world = started();
    world.tsc += 2_000n;
    updateTimekeeper(world, BASES, () => world.tsc, withoutCounter());
    for (const clock of id.VDSO_CLOCKS) {
      const coarse = clock === id.CLOCK_REALTIME_COARSE || clock === id.CLOCK_MONOTONIC_COARSE;
      assert.equal(readClock(world, PAGE, clock) !== undefined, coarse);
    }
    const time = systemClockGettime(world, BASES, id.CLOCK_MONOTONIC, () => world.tsc + 2_000n);
    assert.deepEqual(time, { sec: 50n, nsec: 2_000 });
  });

  test('updateTimekeeper() by the record: user space and kernel agree, to the ns, and follow the record', () => {
    const record = new ScriptedCpu(STABLE);
    const world = new ClockWorld();
    const kernel = () => kernelRead(record, RECORDS, { validFlags: 1, last: 8 });
    startTimekeeper(world, BASES, kernel, { ...FIRST, mode: CLOCK_MODE.PVCLOCK, mult: 1 << 23, shift: 23 });
    for (let tick = 0; tick < 30; tick++) {
      record.cycles += 2_000_000n;
      if (tick % 3 === 0) updateTimekeeper(world, BASES, kernel);
      const counter = kernel();
      const user = readClock(world, { ...PAGE, read: () => counter }, id.CLOCK_BOOTTIME)!;
      const system = systemClockGettime(world, BASES, id.CLOCK_BOOTTIME, () => counter);
      assert.deepEqual({ sec: user.sec, nsec: user.nsec }, system);
    }
  });
});

describe('many updates', () => {
  type Update = typeof updateTimekeeper;

  /** Ticks at random moments with random rates: no clock moves but by its line, and the clocks stay as far apart as they were. */
  function checkNoDrift(update: Update): void {
    const tick = fc.record({
      cycles: fc.bigInt({ min: 1n, max: 1n << 24n }),
      mult: fc.integer({ min: 1 << 22, max: 1 << 24 }),
    });
    fc.assert(
      fc.property(fc.array(tick, { minLength: 20, maxLength: 60 }), (ticks) => {
        const world = started();
        let mult = BigInt(FIRST.mult);
        let shifted = FIRST.monotonicNs << 24n;
        for (const { cycles, mult: next } of ticks) {
          world.tsc += cycles;
          shifted += cycles * mult;
          update(world, BASES, () => world.tsc, withRate(next));
          mult = BigInt(next);
        }
        assert.equal(ns(world, id.CLOCK_MONOTONIC), shifted >> 24n);
        assert.equal(ns(world, id.CLOCK_BOOTTIME) - ns(world, id.CLOCK_MONOTONIC), 30n * SECOND);
      }),
    );
  }

  test('updateTimekeeper() loses not a fraction of a ns, whatever the ticks and rates', () =>
    checkNoDrift(updateTimekeeper));

  test('that check catches an update that keeps whole ns alone', () => {
    assert.throws(() =>
      checkNoDrift((cpu, page, counter, change) =>
        updateTimekeeper(cpu, page, counter, (base, clock) => {
          const kept = { ...base, shiftedNsec: (base.shiftedNsec >> 24n) << 24n };
          return change === undefined ? kept : change(kept, clock);
        }),
      ),
    );
  });
});

describe('rewriteBases()', () => {
  type Rewrite = (cpu: TimekeeperCpu, counter: Counter) => void;
  const CLOCK = id.CLOCK_MONOTONIC;

  /** The clock nearly stops: who mixes lines sees time run back. */
  const slower: Rewrite = (cpu, counter) =>
    rewriteBases(cpu, BASES, [CLOCK], counter, (base, cycles) => ({ ...movedTo(base, cycles), mult: 1 << 16 }));

  /**
   * Two readings one after the other, the writer let on between any two operations of theirs, to any operation of its own,
   * twice: the second is never behind the first, and each is on a line.
   */
  function checkNeverBack(write: Rewrite): void {
    const writerOf = (world: ClockWorld) => new SteppedWriter(world, (cpu) => write(cpu, () => cpu.rdtscOrdered()));
    const operations = writerOf(started()).finish();
    const reads = 2 * 12 + 1;
    for (let first = 1; first <= reads; first++) {
      for (let until = 0; until <= operations; until++) {
        for (let second = first; second <= reads; second += 2) {
          const world = paced();
          const writer = writerOf(world);
          world.before(first, () => writer.runTo(until)).before(second, () => writer.finish());
          const patient = { ...bound(world), relax: () => void writer.finish() }; // the reader waits, the writer runs
          const [one, two] = [ns(patient, CLOCK), ns(patient, CLOCK)];
          assert.ok(two >= one, `writer to ${until} before ${first}, through before ${second}: ${two} after ${one}`);
        }
      }
    }
  }

  /** The TSC moves by 8 ns at every operation. */
  function paced(): ClockWorld {
    const world = new ClockWorld(100_000n, 16n);
    const start = new ClockWorld(1_000n, 0n);
    startTimekeeper(start, BASES, () => start.tsc, FIRST);
    new Uint8Array(world.memory.buffer).set(new Uint8Array(start.memory.buffer));
    return world;
  }

  test('no reading is behind an earlier one, wherever the update falls', () => {
    checkNeverBack(slower);
  });

  test('that check catches a counter read before the sequences are odd, lines written before, and an update without a sequence', () => {
    const early: Rewrite = (cpu, counter) => {
      const cycles = counter();
      slower(cpu, () => cycles);
    };
    const unsequenced: Rewrite = (cpu, counter) => {
      slower({ ...boundWriter(cpu), store32: (at, value) => at % 64 !== 0 && cpu.store32(at, value) }, counter);
    };
    const evenFirst: Rewrite = (cpu, counter) => {
      const late: (() => void)[] = [];
      const storesLate: TimekeeperCpu = {
        ...boundWriter(cpu),
        store32: (at, value) => (at % 64 === 0 ? cpu.store32(at, value) : late.push(() => cpu.store32(at, value))),
        store64: (at, value) => late.push(() => cpu.store64(at, value)),
      };
      slower(storesLate, counter);
      for (const store of late) store();
    };
    for (const broken of [early, unsequenced, evenFirst]) {
      assert.throws(() => checkNeverBack(broken), /after/);
    }
  });

  test('rewriteBases() makes all sequences odd, fences, reads the counter, writes, and makes them even', () => {
    const world = started();
    world.log.length = 0;
    const counter = () => world.rdtscOrdered();
    rewriteBases(world, BASES, [id.CLOCK_REALTIME, id.CLOCK_TAI], counter, (base) => base);
    const stores = world.log.filter((operation) => !operation.startsWith('load'));
    const body = (clock: number) =>
      Object.entries(CLOCK_BASE)
        .filter(([field]) => field !== 'sequence')
        .map(([field]) => `${clock}.${field}`);
    assert.deepEqual(
      stores.map((operation) => operation.replace(/^store(32|64) /, '')),
      [
        ...['0.sequence', '11.sequence', 'fence', 'rdtscOrdered'],
        ...[...body(0), ...body(11), 'writeBarrier', '0.sequence', '11.sequence'],
      ],
    );
    assert.equal(world.memory.getUint32(clockBaseAddress(BASES, 11), true), 4);
  });

  test('loadBase() gives back what an update stored, whatever a base can hold', () => {
    const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
    const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
    const sec = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
    const bases = fc.record(
      {
        ...{ mode: u32, cycleLast: u64, validCycles: u64, mult: u32, shift: u32 },
        ...{ sec, shiftedNsec: u64, errorNs: u64, errorPpb: u32 },
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(bases, (base) => {
        const world = started();
        updateTimekeeper(
          world,
          BASES,
          () => 0n,
          (old, clock) => (clock === CLOCK ? base : old),
        );
        assert.deepEqual(loadBase(world, clockBaseAddress(BASES, CLOCK)), base);
      }),
    );
  });

  test('rewriteBases() refuses a clock that has no base', () => {
    assert.throws(
      () =>
        rewriteBases(
          started(),
          BASES,
          [12],
          () => 0n,
          (base) => base,
        ),
      {
        name: 'RangeError',
        message: 'rewriteBases: there is no base for clock 12',
      },
    );
  });
});

function bound(world: ClockWorld): GuestCpu {
  return {
    load8: (address) => world.load8(address),
    load32: (address) => world.load32(address),
    load64: (address) => world.load64(address),
    rdtscOrdered: () => world.rdtscOrdered(),
    rdtsc: () => world.rdtsc(),
    rdtscp: () => world.rdtscp(),
    readBarrier: () => world.readBarrier(),
    loadFence: () => world.loadFence(),
    vcpu: () => world.vcpu(),
    relax: () => world.relax(),
  };
}

function boundWriter(cpu: TimekeeperCpu): TimekeeperCpu {
  return {
    load32: (address) => cpu.load32(address),
    load64: (address) => cpu.load64(address),
    store32: (address, value) => cpu.store32(address, value),
    store64: (address, value) => cpu.store64(address, value),
    writeBarrier: () => cpu.writeBarrier(),
    fence: () => cpu.fence(),
  };
}
