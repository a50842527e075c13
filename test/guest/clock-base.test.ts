import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MAX_VALID_CYCLES } from '../../src/abi/clock-base.ts';
import {
  type ClockLine,
  clampedToBase,
  cyclesApart,
  movedTo,
  steppedBy,
  timeAfter,
} from '../../src/guest/clock-base.ts';
import { fromTimespec } from '../../src/scale/timespec.ts';

const SECOND = 1_000_000_000n;
const U63 = (1n << 63n) - 1n;

const shift = fc.integer({ min: 0, max: 33 });
const lines = fc
  .record({
    cycleLast: fc.bigInt({ min: 0n, max: U63 }),
    mult: fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.constantFrom(0, 1, 8_388_608, 0xffff_ffff)),
    shift,
    sec: fc.bigInt({ min: -(1n << 40n), max: 1n << 40n }),
    nsec: fc.bigInt({ min: 0n, max: SECOND - 1n }),
    fraction: fc.bigInt({ min: 0n, max: 1n << 40n }),
  })
  .map(({ nsec, fraction, ...line }): ClockLine => {
    const bits = BigInt(line.shift);
    return { ...line, shiftedNsec: (nsec << bits) + (fraction & ((1n << bits) - 1n)) };
  });
const deltas = fc.oneof(
  fc.bigInt({ min: 0n, max: MAX_VALID_CYCLES }),
  fc.bigInt({ min: 0n, max: 1n << 34n }),
  fc.constantFrom(0n, 1n, MAX_VALID_CYCLES),
);

/** The line in exact fractions of 2^-shift ns, never rounded. */
function exact(line: ClockLine, delta: bigint): bigint {
  return ((line.sec * SECOND) << BigInt(line.shift)) + line.shiftedNsec + delta * BigInt(line.mult);
}

/** Below 2^64 ns from the base's second on, as the result is one u64. */
const fits = (line: ClockLine, delta: bigint) =>
  (line.shiftedNsec + delta * BigInt(line.mult)) >> BigInt(line.shift) < 1n << 64n;

describe('timeAfter()', () => {
  type TimeAfter = typeof timeAfter;

  function checkExact(after: TimeAfter): void {
    fc.assert(
      fc.property(lines, deltas, (line, delta) => {
        fc.pre(fits(line, delta));
        const time = after(line, delta);
        assert.equal(fromTimespec(time), exact(line, delta) >> BigInt(line.shift));
        assert.ok(time.nsec >= 0 && time.nsec < 1_000_000_000);
      }),
      { numRuns: 2000 },
    );
  }

  test('timeAfter() is the line to the ns, for any delta', () => checkExact(timeAfter));

  test('timeAfter() of kvm-clock, a ns a cycle by a shift of 23, is the cycles themselves beyond the 1981 s that 64 bits hold', () => {
    const line: ClockLine = { cycleLast: 0n, mult: 8_388_608, shift: 23, sec: 0n, shiftedNsec: 0n };
    const most = 0x1cd4_2e4d_ffbn; // (2^64 - 1) / (mult + the most that NTP adds to it)
    assert.equal(most, ((1n << 64n) - 1n) / (8_388_608n + 922_746n));
    for (const delta of [most - 1n, most, most + 1n, 1n << 41n, (1n << 41n) + 1n, MAX_VALID_CYCLES]) {
      assert.equal(fromTimespec(timeAfter(line, delta)), delta);
    }
  });

  test('that check catches a product that is cut to 64 bits, and seconds that are not carried', () => {
    assert.throws(() =>
      checkExact((line, delta) => {
        const ns = BigInt.asUintN(64, line.shiftedNsec + delta * BigInt(line.mult)) >> BigInt(line.shift);
        return { sec: line.sec + ns / SECOND, nsec: Number(ns % SECOND) };
      }),
    );
    assert.throws(() =>
      checkExact((line, delta) => {
        const { nsec } = timeAfter(line, delta);
        return { sec: line.sec, nsec };
      }),
    );
  });

  test('timeAfter() takes kvm-clock as Linux registers it: 2^23 by 23 is 1 ns a cycle, past its own limit of 1981 s too', () => {
    const line = { cycleLast: 0n, mult: 8_388_608, shift: 23, sec: 5n, shiftedNsec: 7n << 23n };
    for (const delta of [0n, 1n, 1_981_102_219_259n, 1_981_102_219_260n, 10n ** 17n]) {
      assert.equal(fromTimespec(timeAfter(line, delta)), 5n * SECOND + 7n + delta);
    }
  });
});

describe('cyclesApart()', () => {
  test('cyclesApart() counts forward and back mod 2^63', () => {
    const near = fc.bigInt({ min: -(1n << 62n), max: MAX_VALID_CYCLES });
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: U63 }), near, (last, apart) => {
        assert.equal(cyclesApart(BigInt.asUintN(63, last + apart), last), apart);
      }),
    );
  });

  test('cyclesApart() does not look at bit 63 of a counter', () => {
    assert.equal(cyclesApart((1n << 63n) + 10n, 4n), 6n);
    assert.equal(cyclesApart(4n, (1n << 63n) + 10n), -6n);
  });

  test('cyclesApart() turns negative one cycle past the furthest that a base is valid for', () => {
    assert.equal(cyclesApart(MAX_VALID_CYCLES, 0n), MAX_VALID_CYCLES);
    assert.equal(cyclesApart(MAX_VALID_CYCLES + 1n, 0n), -MAX_VALID_CYCLES - 1n);
  });

  test('clampedToBase() takes what is behind for level', () => {
    assert.deepEqual([-(1n << 62n), -1n, 0n, 1n].map(clampedToBase), [0n, 0n, 0n, 1n]);
  });
});

describe('movedTo()', () => {
  type MovedTo = typeof movedTo;

  /** Any number of moves leaves every later time as it was. */
  function checkSameLine(moved: MovedTo): void {
    const steps = fc.array(fc.bigInt({ min: 0n, max: 1n << 36n }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(lines, steps, deltas, (line, at, delta) => {
        let base = line;
        let total = 0n;
        for (const step of at) {
          total += step;
          base = moved(base, line.cycleLast + total);
        }
        assert.equal(base.cycleLast, BigInt.asUintN(63, line.cycleLast + total));
        assert.equal(exact(base, delta), exact(line, total + delta));
        assert.ok(base.shiftedNsec < SECOND << BigInt(base.shift));
      }),
    );
  }

  test('movedTo() is the same line to the last bit behind the point', () => checkSameLine(movedTo));

  test('that check catches a move that rounds to whole ns', () => {
    assert.throws(() =>
      checkSameLine((base, cycles) => {
        const moved = movedTo(base, cycles);
        const bits = BigInt(moved.shift);
        return { ...moved, shiftedNsec: (moved.shiftedNsec >> bits) << bits };
      }),
    );
  });

  test('movedTo() leaves a base as it is where the counter is behind', () => {
    fc.assert(
      fc.property(lines, fc.bigInt({ min: 0n, max: (1n << 62n) - 1n }), (line, behind) => {
        const { shiftedNsec, sec, cycleLast } = movedTo(line, BigInt.asUintN(63, line.cycleLast - behind));
        assert.deepEqual({ shiftedNsec, sec, cycleLast }, { ...pick(line) });
      }),
    );
  });

  const pick = ({ shiftedNsec, sec, cycleLast }: ClockLine) => ({ shiftedNsec, sec, cycleLast });
});

test('steppedBy() moves a base by whole ns, forward and back, and keeps the second whole', () => {
  fc.assert(
    fc.property(lines, fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }), (line, ns) => {
      const stepped = steppedBy(line, ns);
      assert.equal(exact(stepped, 0n), exact(line, 0n) + (ns << BigInt(line.shift)));
      assert.ok(stepped.shiftedNsec >= 0n && stepped.shiftedNsec < SECOND << BigInt(line.shift));
    }),
  );
});

test('timeAfter(), movedTo() and steppedBy() go on from the last second of an s64 to the first', () => {
  const last: ClockLine = { cycleLast: 0n, mult: 1, shift: 0, sec: (1n << 63n) - 1n, shiftedNsec: SECOND - 1n };
  const first = -(1n << 63n);
  assert.deepEqual(timeAfter(last, 1n), { sec: first, nsec: 0 });
  assert.equal(movedTo(last, 1n).sec, first);
  assert.equal(steppedBy(last, 1n).sec, first);
  assert.deepEqual(steppedBy(steppedBy(last, 1n), -1n), last);
});
