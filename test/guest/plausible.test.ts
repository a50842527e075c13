import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { PVTI } from '../../src/abi/pvti.ts';
import { doubtsAt } from '../../src/guest/plausible.ts';
import { tscToNs } from '../../src/scale/time-scale.ts';
import { recordBytes } from '../report/decode/image-files.ts';

const doubts = (bytes: Uint8Array) => doubtsAt(new DataView(bytes.buffer), 0);

describe('doubtsAt()', () => {
  test('doubtsAt() has none of a record as KVM writes it, stable or not, at any rate from 100 MHz to 10 GHz', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100_001, max: 9_999_999 }), fc.constantFrom(0, 1, 2, 3), (khz, flags) => {
        const { mul, shift } = tscToNs(BigInt(khz) * 1000n);
        assert.deepEqual(doubts(recordBytes({ tscToSystemMul: mul, tscShift: shift, flags })), []);
      }),
    );
  });

  for (const [record, doubt] of [
    [{ version: 0 }, 'version 0: never written'],
    [{ version: 25 }, 'version odd: caught while it was written'],
    [{ flags: 0x1c }, 'unknown flags 0x1c'],
    [{ tscToSystemMul: 0 }, 'multiplier below 2^31'],
    [{ tscToSystemMul: 0x7fff_ffff, tscShift: 0 }, 'multiplier below 2^31'],
    [{ tscShift: -4 }, 'a TSC of 2.08e+10 Hz'],
    [{ tscShift: 5 }, 'a TSC of 4.06e+7 Hz'],
    [{ tscTimestamp: 0n }, 'timestamp 0'],
    [{ tscTimestamp: (1n << 64n) - 1n }, 'timestamp beyond 100 years'],
    [{ systemTime: (1n << 64n) - 1n }, 'time beyond 100 years'],
  ] as const) {
    const [[field, value]] = Object.entries(record) as [[string, number | bigint]];
    test(`doubtsAt() doubts a record with ${field} ${value}: ${doubt}`, () => {
      assert.deepEqual(doubts(recordBytes(record)), [doubt]);
    });
  }

  test('doubtsAt() has no doubt up to 100 MHz, 10 GHz and 100 years, and one beyond', () => {
    const years100 = 36_525n * 86_400n * 1_000_000_000n;
    const inStep = { tscToSystemMul: 0x8000_0000, tscShift: 1 }; // one cycle a nanosecond
    for (const [last, beyond, doubt] of [
      [{ tscToSystemMul: 0xa000_0000, tscShift: 4 }, { tscToSystemMul: 0xa000_0001 }, 'a TSC of 1.00e+8 Hz'],
      [{ tscToSystemMul: 3_435_973_837, tscShift: -3 }, { tscToSystemMul: 3_435_973_836 }, 'a TSC of 1.00e+10 Hz'],
      [{ tscToSystemMul: 0x8000_0000, tscShift: 0 }, { tscToSystemMul: 0x7fff_ffff }, 'multiplier below 2^31'],
      [{ systemTime: years100 }, { systemTime: years100 + 1024n }, 'time beyond 100 years'],
      [{ ...inStep, tscTimestamp: years100 }, { tscTimestamp: years100 + 1024n }, 'timestamp beyond 100 years'],
    ] as const) {
      assert.deepEqual(doubts(recordBytes(last)), []);
      assert.deepEqual(doubts(recordBytes({ ...last, ...beyond })), [doubt]);
    }
  });

  test('doubtsAt() doubts a record with any bit of its padding set', () => {
    for (const at of [PVTI.pad0, PVTI.pad0 + 3, PVTI.pad, PVTI.pad + 1]) {
      const bytes = recordBytes();
      bytes[at] = 1;
      assert.deepEqual(doubts(bytes), ['padding not zero']);
    }
  });

  test('doubtsAt() doubts noise: of 5000 random pages none passes', () => {
    const pages = fc.sample(fc.uint8Array({ minLength: 32, maxLength: 32 }), 5000);
    assert.equal(
      pages.filter((bytes) => doubtsAt(new DataView(bytes.buffer, bytes.byteOffset), 0).length === 0).length,
      0,
    );
  });
});
