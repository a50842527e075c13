import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { scaleTsc, TSC_RATIO_ONE, tscRatio } from '../../src/scale/tsc-ratio.ts';

test('tscRatio() of equal rates is one', () => {
  assert.equal(tscRatio(2_596_144, 2_596_144), TSC_RATIO_ONE);
});

test('tscRatio() has 48 bits behind the point, rounded down', () => {
  assert.equal(TSC_RATIO_ONE, 1n << 48n);
  assert.equal(tscRatio(1, 2), 1n << 47n);
  assert.equal(tscRatio(2, 3), (1n << 49n) / 3n);
});

test('scaleTsc() by one gives the cycles back', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (cycles) => {
      assert.equal(scaleTsc(cycles, TSC_RATIO_ONE), cycles);
    }),
  );
});

test('scaleTsc() turns a second of host cycles into a second of guest cycles, to the cycle', () => {
  const khz = fc.integer({ min: 500_000, max: 5_000_000 });
  fc.assert(
    fc.property(khz, khz, (guestKhz, hostKhz) => {
      const cycles = scaleTsc(BigInt(hostKhz) * 1000n, tscRatio(guestKhz, hostKhz));
      const off = BigInt(guestKhz) * 1000n - cycles;
      assert.ok(off === 0n || off === 1n, `${off} cycles off`);
    }),
  );
});

test('scaleTsc() keeps 64 bits of the product', () => {
  assert.equal(scaleTsc((1n << 64n) - 1n, 2n * TSC_RATIO_ONE), (1n << 64n) - 2n);
});
