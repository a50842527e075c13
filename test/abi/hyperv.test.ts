import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  HV_REFERENCE_TSC_INVALID,
  HV_X64_MSR_REFERENCE_TSC,
  HV_X64_MSR_TIME_REF_COUNT,
  HYPERV_TSC_PAGE,
  HYPERV_TSC_PAGE_BYTES,
  HYPERV_TSC_PAGE_LAYOUT,
  HYPERV_UNIT_NS,
} from '../../src/abi/hyperv.ts';
import { decodeStruct } from '../../src/abi/struct.ts';

test('the reference TSC page has its fields where Hyper-V has them, and only the offset is signed', () => {
  assert.deepEqual(HYPERV_TSC_PAGE, { sequence: 0, reserved: 4, scale: 8, offset: 16 });
  assert.equal(HYPERV_TSC_PAGE_BYTES, 4096);
  const ones = new DataView(new Uint8Array(24).fill(0xff).buffer);
  assert.deepEqual(decodeStruct(HYPERV_TSC_PAGE_LAYOUT, ones), {
    sequence: 0xffff_ffff,
    scale: (1n << 64n) - 1n,
    offset: -1n,
  });
});

test("Hyper-V's numbers are those of its specification: no sequence is 0, a unit is 100 ns", () => {
  assert.deepEqual([HV_REFERENCE_TSC_INVALID, HYPERV_UNIT_NS], [0, 100]);
  assert.deepEqual([HV_X64_MSR_TIME_REF_COUNT, HV_X64_MSR_REFERENCE_TSC], [0x4000_0020, 0x4000_0021]);
});
