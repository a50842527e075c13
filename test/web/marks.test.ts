import assert from 'node:assert/strict';
import { test } from 'node:test';
import { timeOfDay } from '../../web/machine/time-of-day.ts';
import { markNs } from '../../web/plot.ts';

test('markNs() gives a time with its unit and no digit that says nothing', () => {
  for (const [ns, text] of [
    [0, '0 ns'],
    [20, '20 ns'],
    [100, '100 ns'],
    [-2500, '-2.5 us'],
    [-12_500, '-12.5 us'],
    [1000, '1 us'],
    [1_050_000, '1.05 ms'],
    [2e9, '2 s'],
  ] as const) {
    assert.equal(markNs(ns), text);
  }
});

test('timeOfDay() counts from 0 to 23 h', () => {
  const midnight = new Date(2026, 0, 2, 0, 5, 9).getTime();
  assert.match(timeOfDay(midnight), /\b0?0:05:09$/);
  assert.match(timeOfDay(midnight - 3_600_000), /^23:05:09$/);
});
