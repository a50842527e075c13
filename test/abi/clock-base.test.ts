import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  CLOCK_BASE_BYTES,
  CLOCK_BASE_LAYOUT,
  CLOCK_BASES,
  CLOCK_PAGE_BYTES,
  clockBaseAddress,
  hasClockBase,
} from '../../src/abi/clock-base.ts';
import { VDSO_CLOCKS } from '../../src/abi/clock-id.ts';
import { extentOf } from '../../src/abi/struct.ts';

describe('the page of bases', () => {
  test('every field of a base lies on a multiple of its size, none on another, all in one cache line', () => {
    const fields = Object.values(CLOCK_BASE_LAYOUT).map(([type, at]) => ({ at, bytes: Number(type.slice(1)) / 8 }));
    for (const { at, bytes } of fields) assert.equal(at % bytes, 0);
    const taken = fields.flatMap(({ at, bytes }) => Array.from({ length: bytes }, (_, byte) => at + byte));
    assert.equal(new Set(taken).size, taken.length);
    assert.ok(extentOf(CLOCK_BASE_LAYOUT) <= CLOCK_BASE_BYTES);
  });

  test('every clock that user space can read has its place in the page', () => {
    for (const clock of VDSO_CLOCKS) {
      assert.ok(hasClockBase(clock));
      assert.ok(clockBaseAddress(0, clock) + CLOCK_BASE_BYTES <= CLOCK_PAGE_BYTES);
    }
  });

  test('hasClockBase() is false for negative and dynamic clocks', () => {
    for (const clock of [-1, -(2 ** 31), CLOCK_BASES, 2 ** 31 - 1]) assert.equal(hasClockBase(clock), false);
  });
});
