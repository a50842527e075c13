import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { scaleDelta } from '../../src/scale/scale-delta.ts';
import { type TimeScale, timeScale, tscHz, tscKhz, tscToNs } from '../../src/scale/time-scale.ts';
import { NS_TO_TSC_VECTOR, TSC_KHZ_VECTORS, TSC_TO_NS_VECTORS } from '../vectors/scale.ts';

const GIGA = 1_000_000_000n;
const cpuHz = fc.bigInt({ min: 100_000_000n, max: 10_000_000_000n });

describe('tscToNs()', () => {
  for (const { hz, shift, mul, ns } of TSC_TO_NS_VECTORS) {
    test(`tscToNs(${hz}) is mul ${mul}, shift ${shift}`, () => {
      assert.deepEqual(tscToNs(hz), { mul, shift });
      if (ns !== undefined) assert.equal(scaleDelta(hz, mul, shift), ns);
    });
  }

  test('tscToNs() keeps mul in 2^31..2^32-1 for every processor from 100 MHz to 10 GHz', () => {
    fc.assert(
      fc.property(cpuHz, (hz) => {
        const { mul } = tscToNs(hz);
        assert.ok(mul >= 2 ** 31 && mul < 2 ** 32);
      }),
      { numRuns: 2000 },
    );
  });

  /** Over 1000 s: at most 2^-31 slow, plus the 1 ns that truncation takes; fast only by the bits that halving drops. */
  const rateHolds = (scale: (hz: bigint) => TimeScale) =>
    fc.assert(
      fc.property(cpuHz, (hz) => {
        const { mul, shift } = scale(hz);
        const ns = scaleDelta(hz * 1000n, mul, shift);
        const due = 1000n * GIGA;
        let halvings = 0n;
        while (hz >> halvings > 2n * GIGA) halvings++;
        const kept = (hz >> halvings) << halvings;
        assert.ok(ns >= due - due / (1n << 31n) - 2n, `${due - ns} ns slow`);
        assert.ok(ns * kept <= due * hz, `${ns - due} ns fast`);
      }),
      { numRuns: 5000 },
    );

  test('tscToNs() is at most 2^-31 slow, and fast only by the bits that halving drops', () => rateHolds(tscToNs));

  test('that check catches a mul that is rounded up, and a frequency taken in whole kHz', () => {
    assert.throws(() =>
      rateHolds((hz) => {
        const { mul, shift } = tscToNs(hz);
        return { mul: mul + 1, shift };
      }),
    );
    assert.throws(() => rateHolds((hz) => tscToNs((hz / 1000n) * 1000n)));
  });

  test('tscToNs() makes one second of cycles 1e9 ns or 1 less where halving drops nothing', () => {
    fc.assert(
      fc.property(cpuHz, (hz) => {
        const even = hz & ~7n;
        const { mul, shift } = tscToNs(even);
        const ns = scaleDelta(even, mul, shift);
        assert.ok(ns === GIGA || ns === GIGA - 1n, `${ns}`);
      }),
    );
  });

  test('tscToNs() gives 2 000 000 001 Hz the pair of 2 GHz: halving drops the odd bit', () => {
    assert.deepEqual(tscToNs(4_000_000_001n), tscToNs(4_000_000_000n));
    assert.deepEqual(tscToNs(2_000_000_001n), tscToNs(2_000_000_000n));
  });
});

describe('timeScale()', () => {
  test('timeScale() goes from nanoseconds to cycles as well', () => {
    const { hz, shift, mul, cycles } = NS_TO_TSC_VECTOR;
    assert.deepEqual(timeScale(hz, GIGA), { mul, shift });
    assert.equal(scaleDelta(GIGA, mul, shift), cycles);
  });

  test('timeScale() doubles a base, which loses nothing, before it halves what is scaled to', () => {
    assert.deepEqual(timeScale(1_000_000_001n, 999_999_999n), { mul: 2_147_483_652, shift: 1 });
    assert.deepEqual(timeScale((1n << 63n) + (1n << 32n), 3n), { mul: 2_863_311_532, shift: 62 });
  });

  test('timeScale() halves a base of 2^32, at the cost of a bit, and none below', () => {
    assert.deepEqual(timeScale((1n << 31n) + 1n, 1n << 32n), { mul: 2 ** 31, shift: 0 });
    assert.deepEqual(timeScale(3n * GIGA, (1n << 32n) - 1n), { mul: 3_000_000_000, shift: 0 });
  });

  test('timeScale() gives a mul that is a u32 for any two frequencies', () => {
    const any = fc.oneof(
      fc.bigInt({ min: 1n, max: (1n << 64n) - 1n }),
      fc.nat({ max: 63 }).map((bit) => 1n << BigInt(bit)),
    );
    fc.assert(
      fc.property(any, any, (scaled, base) => {
        const { mul, shift } = timeScale(scaled, base);
        assert.ok(Number.isInteger(mul) && mul >= 0 && mul <= 0xffff_ffff, `mul ${mul}`);
        assert.ok(shift >= -128 && shift <= 127, `shift ${shift}`);
      }),
      { numRuns: 5000 },
    );
  });

  for (const [scaled, base] of [
    [0n, 1n],
    [1n, 0n],
    [1n << 64n, 1n],
    [1n, 1n << 64n],
    [-1n, 1n],
  ] as const) {
    test(`timeScale(${scaled}, ${base}) throws a RangeError that quotes both`, () => {
      assert.throws(() => timeScale(scaled, base), {
        name: 'RangeError',
        message: `timeScale: frequencies must be 1..2^64-1 Hz, got scaled ${scaled} and base ${base}`,
      });
    });
  }
});

describe('tscKhz()', () => {
  for (const { khz, answer } of TSC_KHZ_VECTORS) {
    test(`tscKhz() of the pair for ${khz} kHz is ${answer}`, () => {
      const { mul, shift } = tscToNs(khz * 1000n);
      assert.equal(tscKhz(mul, shift), answer);
    });
  }

  /** kHz lost on the way there and back: none where shift >= 0, else less than 2^-shift, in steps of 2^-shift. */
  function sweep(khzOf: (mul: number, shift: number) => number | undefined): Map<number, [number, number]> {
    const seen = new Map<number, [number, number]>();
    for (let khz = 600_000; khz <= 9_000_000; khz += 97) {
      const { mul, shift } = tscToNs(BigInt(khz) * 1000n);
      const lost = khz - khzOf(mul, shift)!;
      const [least, most] = seen.get(shift) ?? [lost, lost];
      seen.set(shift, [Math.min(least, lost), Math.max(most, lost)]);
    }
    return seen;
  }

  test('tscKhz() loses 0 kHz at shift >= 0, 0..1 at -1, 0..3 at -2, 0..7 at -3', () => {
    assert.deepEqual(
      [...sweep(tscKhz)].sort(([a], [b]) => b - a),
      [
        [1, [0, 0]],
        [0, [0, 0]],
        [-1, [0, 1]],
        [-2, [0, 3]],
        [-3, [0, 7]],
      ],
    );
  });

  test('that sweep catches a version that shifts before it divides', () => {
    const shiftFirst = (mul: number, shift: number) =>
      Number(
        shift < 0
          ? ((1_000_000n << 32n) << BigInt(-shift)) / BigInt(mul)
          : ((1_000_000n << 32n) / BigInt(mul)) >> BigInt(shift),
      );
    assert.notDeepEqual(sweep(shiftFirst).get(-1), [0, 1]);
  });

  test('tscKhz() is even at shift -1 and a multiple of 4 at shift -2', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2 ** 31, max: 2 ** 32 - 1 }), (mul) => {
        assert.equal(tscKhz(mul, -1)! % 2, 0);
        assert.equal(tscKhz(mul, -2)! % 4, 0);
      }),
    );
  });

  test('tscKhz() keeps 64 bits of what is shifted left', () => {
    assert.equal(tscKhz(2 ** 31, -43), 15_625 * 2 ** 50);
    assert.equal(tscKhz(2 ** 31, -44), (2 * 15_625 - 2 ** 14) * 2 ** 50);
  });

  test('tscKhz() and tscHz() are undefined where mul is 0', () => {
    assert.equal(tscKhz(0, 0), undefined);
    assert.equal(tscHz(0, 0), undefined);
  });
});

describe('tscHz()', () => {
  test('tscHz() is exact where the pair is', () => {
    assert.equal(tscHz(2 ** 31, 0), 2_000_000_000);
    assert.equal(tscHz(0xa000_0000, 4), 100_000_000);
  });

  test('tscHz() comes back within 1e-9 of the frequency, or the bits that halving drops', () => {
    fc.assert(
      fc.property(cpuHz, (hz) => {
        const { mul, shift } = tscToNs(hz);
        const error = Math.abs(tscHz(mul, shift)! - Number(hz));
        assert.ok(error <= Number(hz) * 1e-9 + 2 ** Math.max(0, -shift), `off by ${error} Hz`);
      }),
      { numRuns: 5000 },
    );
  });
});
