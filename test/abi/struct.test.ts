import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeStruct, encodeStruct, extentOf } from '../../src/abi/struct.ts';

const LAYOUT = {
  a: ['u8', 0],
  b: ['s8', 1],
  c: ['u16', 2],
  d: ['s16', 4],
  e: ['u32', 8],
  f: ['s32', 12],
  g: ['u64', 16],
  h: ['s64', 24],
} as const;

const value = fc.record(
  {
    a: fc.integer({ min: 0, max: 0xff }),
    b: fc.integer({ min: -0x80, max: 0x7f }),
    c: fc.integer({ min: 0, max: 0xffff }),
    d: fc.integer({ min: -0x8000, max: 0x7fff }),
    e: fc.integer({ min: 0, max: 0xffff_ffff }),
    f: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    g: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    h: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  },
  { noNullPrototype: true },
);

test('decodeStruct() gives back what encodeStruct() wrote, at any offset, and touches nothing else', () => {
  fc.assert(
    fc.property(value, fc.nat({ max: 64 }), (fields, offset) => {
      const bytes = new Uint8Array(128).fill(0xa5);
      const view = new DataView(bytes.buffer);
      encodeStruct(LAYOUT, fields, view, offset);
      assert.deepEqual(decodeStruct(LAYOUT, view, offset), fields);
      assert.ok(bytes.subarray(0, offset).every((byte) => byte === 0xa5));
      assert.ok(bytes.subarray(offset + 32).every((byte) => byte === 0xa5));
    }),
  );
});

test('encodeStruct() is little-endian', () => {
  const bytes = new Uint8Array(4);
  encodeStruct({ word: ['u32', 0] }, { word: 0x0403_0201 }, new DataView(bytes.buffer));
  assert.deepEqual([...bytes], [1, 2, 3, 4]);
});

test('encodeStruct() truncates a value that does not fit, as a C store does', () => {
  const view = new DataView(new ArrayBuffer(16));
  const layout = { byte: ['u8', 0], word: ['u64', 8] } as const;
  encodeStruct(layout, { byte: 0x1ff, word: (1n << 64n) + 7n }, view);
  assert.deepEqual(decodeStruct(layout, view), { byte: 0xff, word: 7n });
});

test('decodeStruct() throws a RangeError where the view is too short', () => {
  assert.throws(() => decodeStruct(LAYOUT, new DataView(new ArrayBuffer(31))), RangeError);
});

test('extentOf() is the end of the last field', () => {
  assert.equal(extentOf(LAYOUT), 32);
  assert.equal(extentOf({ late: ['u16', 6], early: ['u32', 0] }), 8);
  for (const type of ['u8', 's8', 'u16', 's16', 'u32', 's32', 'u64', 's64'] as const) {
    assert.equal(extentOf({ alone: [type, 3] }), 3 + Number(type.slice(1)) / 8);
  }
});
