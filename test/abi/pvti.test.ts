import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodePvti,
  encodePvti,
  PVCLOCK_COUNTS_FROM_ZERO,
  PVCLOCK_GUEST_STOPPED,
  PVCLOCK_TSC_STABLE_BIT,
  PVTI,
  PVTI_BYTES,
  PVTI_LAYOUT,
  PVTI_PER_PAGE,
  PVTI_SIZE,
  type Pvti,
  pvtiAddress,
} from '../../src/abi/pvti.ts';
import { decodeStruct, extentOf } from '../../src/abi/struct.ts';
import { WALL_CLOCK, WALL_CLOCK_BYTES, WALL_CLOCK_LAYOUT } from '../../src/abi/wall-clock.ts';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const pvti: fc.Arbitrary<Pvti> = fc.record(
  {
    version: u32,
    tscTimestamp: u64,
    systemTime: u64,
    tscToSystemMul: u32,
    tscShift: fc.integer({ min: -128, max: 127 }),
    flags: fc.integer({ min: 0, max: 255 }),
  },
  { noNullPrototype: true },
);

test('a record is 32 bytes: version, pad, timestamp, time, mul, shift, flags, two bytes of pad', () => {
  assert.deepEqual(PVTI, {
    version: 0,
    pad0: 4,
    tscTimestamp: 8,
    systemTime: 16,
    tscToSystemMul: 24,
    tscShift: 28,
    flags: 29,
    pad: 30,
  });
  assert.equal(extentOf(PVTI_LAYOUT) + 2, PVTI_BYTES);
});

test('decodePvti() takes a record apart byte by byte', () => {
  const bytes = Uint8Array.from([
    ...[0x18, 0, 0, 0, 0, 0, 0, 0],
    ...[0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11],
    ...[0xf0, 0xde, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x92],
    ...[0x34, 0x0a, 0x37, 0xc5, 0xff, 0x01, 0, 0],
  ]);
  assert.deepEqual(decodePvti(new DataView(bytes.buffer)), {
    version: 24,
    tscTimestamp: 0x1122_3344_5566_7788n,
    systemTime: 0x9234_5678_9abc_def0n,
    tscToSystemMul: 0xc537_0a34,
    tscShift: -1,
    flags: 1,
  });
});

test('the flags are the low three bits', () => {
  assert.deepEqual([PVCLOCK_TSC_STABLE_BIT, PVCLOCK_GUEST_STOPPED, PVCLOCK_COUNTS_FROM_ZERO], [1, 2, 4]);
});

test('decodePvti() gives back what encodePvti() wrote; the padding is zeroed and the neighbours stay', () => {
  fc.assert(
    fc.property(pvti, (record) => {
      const bytes = new Uint8Array(64).fill(0xa5);
      const view = new DataView(bytes.buffer);
      encodePvti(record, view, 16);
      assert.deepEqual(decodePvti(view, 16), record);
      assert.equal(view.getUint32(16 + PVTI.pad0), 0);
      assert.equal(view.getUint16(16 + PVTI.pad), 0);
      assert.ok(bytes.subarray(0, 16).every((byte) => byte === 0xa5));
      assert.ok(bytes.subarray(48).every((byte) => byte === 0xa5));
    }),
  );
});

test('pvtiAddress() steps by a cache line, 64 records to a page', () => {
  assert.equal(PVTI_SIZE, 64);
  assert.equal(PVTI_PER_PAGE, 64);
  assert.equal(pvtiAddress(0x1000, 0), 0x1000);
  assert.equal(pvtiAddress(0x1000, 63), 0x1fc0);
});

test('a wall clock is 12 bytes: version, sec, nsec', () => {
  assert.deepEqual(WALL_CLOCK, { version: 0, sec: 4, nsec: 8 });
  assert.equal(extentOf(WALL_CLOCK_LAYOUT), WALL_CLOCK_BYTES);
  assert.equal(WALL_CLOCK_BYTES, 12);
  const latest = decodeStruct(WALL_CLOCK_LAYOUT, new DataView(new Uint8Array(WALL_CLOCK_BYTES).fill(0xff).buffer));
  assert.deepEqual(latest, { version: 0xffff_ffff, sec: 0xffff_ffff, nsec: 0xffff_ffff });
});
