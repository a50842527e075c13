import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromSeen, type SeenRecord, toSeen } from '../../src/guest/observed.ts';

test('toSeen() survives JSON with every bit, and fromSeen() gives the record back', () => {
  const record = {
    version: 0xfffffffe,
    tscTimestamp: 2n ** 64n - 1n,
    systemTime: 2n ** 63n + 1n,
    tscToSystemMul: 0xffffffff,
    tscShift: -31,
    flags: 3,
  };
  const told = JSON.parse(JSON.stringify(toSeen(5, record))) as SeenRecord;
  assert.equal(told.vcpu, 5);
  assert.deepEqual(fromSeen(told), record);
});
