import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatAge, formatNs } from '../../src/scale/duration.ts';

describe('formatNs()', () => {
  for (const [ns, text] of [
    [0, '0.00 ns'],
    [1.234, '1.23 ns'],
    [19.44, '19.4 ns'],
    [640.2, '640 ns'],
    [1250, '1.25 us'],
    [3_100_000_000, '3.10 s'],
    [42_000_000, '42.0 ms'],
    [-1250, '-1.25 us'],
    [999.9, '1000 ns'],
    [9.5, '9.50 ns'],
    [10, '10.0 ns'],
    [99.4, '99.4 ns'],
    [100, '100 ns'],
    [999, '999 ns'],
    [1e3, '1.00 us'],
    [999_999, '1000 us'],
    [1e6, '1.00 ms'],
    [999_999_999, '1000 ms'],
    [1e9, '1.00 s'],
  ] as const) {
    test(`formatNs(${ns}) is ${text}`, () => assert.equal(formatNs(ns), text));
  }
});

describe('formatAge()', () => {
  for (const [ns, text] of [
    [12_000_000, '12.0 ms'],
    [59_000_000_000, '59.0 s'],
    [60_000_000_000, '1 min 0 s'],
    [3_599_999_999_999, '59 min 59 s'],
    [3_600_000_000_000, '1 h 0 min'],
    [86_399_999_999_999, '23 h 59 min'],
    [86_400_000_000_000, '1 d 0 h'],
    [255_600_000_000_000, '2 d 23 h'],
    [90_061_000_000_000, '1 d 1 h'],
  ] as const) {
    test(`formatAge(${ns}) is ${text}`, () => assert.equal(formatAge(ns), text));
  }
});
