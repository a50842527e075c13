import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { simulatedClock } from '../../../src/machine/simulated/clock.ts';

const RATES = fc.bigInt({ min: 500_000_000n, max: 5_000_000_000n });

test('sample() is one instant: the TSC is the time in cycles, rounded down, at any rate', () => {
  fc.assert(
    fc.property(RATES, (tscHz) => {
      const sample = simulatedClock(tscHz).sample()!;
      assert.equal(sample.tsc, (sample.ns * tscHz) / 1_000_000_000n);
    }),
  );
});

test('tsc() lies between the cycles of two readings of ns() around it', () => {
  fc.assert(
    fc.property(RATES, (tscHz) => {
      const clock = simulatedClock(tscHz);
      assert.equal(clock.tscHz(), tscHz);
      const before = clock.ns();
      const tsc = clock.tsc();
      const after = clock.ns();
      assert.ok((before * tscHz) / 1_000_000_000n <= tsc && tsc <= (after * tscHz) / 1_000_000_000n);
    }),
  );
});

test('realtimeNs() is the time of day', () => {
  const before = Date.now();
  const ns = simulatedClock().realtimeNs();
  assert.ok(ns >= BigInt(before) * 1_000_000n && ns <= BigInt(Date.now()) * 1_000_000n);
});

test('simulatedClock() refuses a rate that is none, in one line', () => {
  for (const rate of [0n, -1n, 2.6e9 as unknown as bigint]) {
    assert.throws(() => simulatedClock(rate), {
      name: 'RangeError',
      message: `simulatedClock: tscHz takes a bigint of 1 or more, got ${rate}`,
    });
  }
});
