import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodePvti, type Pvti } from '../../src/abi/pvti.ts';
import { implausible } from '../../src/guest/plausible.ts';
import { tscToNs } from '../../src/scale/time-scale.ts';

const { mul, shift } = tscToNs(2_600_000_000n);
const REAL: Pvti = { version: 14, tscTimestamp: 1n, systemTime: 2n, tscToSystemMul: mul, tscShift: shift, flags: 1 };

test('implausible() accepts a record in use, also one that is not stable, or whose vCPU was stopped', () => {
  for (const flags of [0, 1, 2, 3]) assert.equal(implausible({ ...REAL, flags }, 0), undefined);
});

test('implausible() names what is wrong', () => {
  assert.match(implausible({ ...REAL, version: 0 }, 0)!, /never written/);
  assert.match(implausible(REAL, 0x100)!, /padding/);
  assert.match(implausible({ ...REAL, flags: 0x81 }, 0)!, /unknown flags 0x81/);
  assert.match(implausible({ ...REAL, tscToSystemMul: 0 }, 0)!, /multiplier is 0/);
  assert.match(implausible({ ...REAL, tscShift: 32 }, 0)!, /shift is 32/);
  assert.match(implausible({ ...REAL, tscShift: 20 }, 0)!, /TSC of/);
});

test('implausible() refuses noise: fewer than one in a thousand random pages passes', () => {
  const pages = fc.sample(fc.uint8Array({ minLength: 32, maxLength: 32 }), 5000);
  const passed = pages.filter((bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return implausible(decodePvti(view), view.getUint32(4, true) | view.getUint16(30, true)) === undefined;
  });
  assert.ok(passed.length < 5, `${passed.length} of 5000`);
});
