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
    [90_061_000_000_000, '1 d 1 h'],
  ] as const) {
    test(`formatAge(${ns}) is ${text}`, () => assert.equal(formatAge(ns), text));
  }
});
