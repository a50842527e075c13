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
import { decodeStruct, extentOf } from '../../src/abi/struct.ts';

describe('the page of bases', () => {
  test('every field of a base lies on a multiple of its size, none on another, all in one cache line', () => {
    const fields = Object.values(CLOCK_BASE_LAYOUT).map(([type, at]) => ({ at, bytes: Number(type.slice(1)) / 8 }));
    for (const { at, bytes } of fields) assert.equal(at % bytes, 0);
    const taken = fields.flatMap(({ at, bytes }) => Array.from({ length: bytes }, (_, byte) => at + byte));
    assert.equal(new Set(taken).size, taken.length);
    assert.ok(extentOf(CLOCK_BASE_LAYOUT) <= CLOCK_BASE_BYTES);
  });

  test('the second of a base is signed, everything else is not', () => {
    const ones = new DataView(new Uint8Array(CLOCK_BASE_BYTES).fill(0xff).buffer);
    const [u32, u64] = [0xffff_ffff, (1n << 64n) - 1n];
    assert.deepEqual(decodeStruct(CLOCK_BASE_LAYOUT, ones), {
      ...{ sequence: u32, mode: u32, cycleLast: u64, validCycles: u64, mult: u32, shift: u32 },
      ...{ sec: -1n, shiftedNsec: u64, errorNs: u64, errorPpb: u32 },
    });
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
