import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeStruct, extentOf } from '../../src/abi/struct.ts';
import {
  VMCLOCK,
  VMCLOCK_BYTES,
  VMCLOCK_COUNTER,
  VMCLOCK_FLAG,
  VMCLOCK_LAYOUT,
  VMCLOCK_LEAP,
  VMCLOCK_MAGIC,
  VMCLOCK_STATUS,
  VMCLOCK_TIME,
  VMCLOCK_VERSION,
} from '../../src/abi/vmclock.ts';

describe("VMClock's page", () => {
  test('its fields follow one another without a hole, two bytes of padding among them, and fill 112 bytes', () => {
    let end = 0;
    for (const [name, at] of Object.entries(VMCLOCK)) {
      assert.equal(at, end, name);
      end = name === 'pad' ? at + 2 : extentOf({ field: VMCLOCK_LAYOUT[name as keyof typeof VMCLOCK_LAYOUT] });
    }
    assert.equal(end, 112);
    assert.equal(VMCLOCK_BYTES, 112);
  });

  test('the offset of TAI is signed, everything else is not', () => {
    const { taiOffsetSec, ...rest } = decodeStruct(
      VMCLOCK_LAYOUT,
      new DataView(new Uint8Array(VMCLOCK_BYTES).fill(0xff).buffer),
    );
    assert.equal(taiOffsetSec, -1);
    for (const [name, value] of Object.entries(rest)) assert.ok(value > 0, name);
  });

  test('its magic spells VCLK, and its version is 1', () => {
    assert.equal(String.fromCharCode(...new Uint8Array(Uint32Array.of(VMCLOCK_MAGIC).buffer)), 'VCLK');
    assert.equal(VMCLOCK_VERSION, 1);
  });

  test('flags are the bits from 0 on, and what is counted is counted from 0 on; 255 is no counter', () => {
    const from0 = (values: readonly unknown[]) => values.map((_, index) => index);
    assert.deepEqual(
      Object.values(VMCLOCK_FLAG),
      Object.values(VMCLOCK_FLAG).map((_, bit) => 1n << BigInt(bit)),
    );
    for (const values of [VMCLOCK_TIME, VMCLOCK_STATUS, VMCLOCK_LEAP].map(Object.values)) {
      assert.deepEqual(values, from0(values));
    }
    assert.deepEqual(Object.values(VMCLOCK_COUNTER), [0, 1, 255]);
  });
});
