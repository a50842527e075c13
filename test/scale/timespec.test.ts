import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromTimespec, toTimespec } from '../../src/scale/timespec.ts';

test('toTimespec() keeps nsec in 0..999 999 999, also before the epoch', () => {
  assert.deepEqual(toTimespec(0n), { sec: 0n, nsec: 0 });
  assert.deepEqual(toTimespec(1_999_999_999n), { sec: 1n, nsec: 999_999_999 });
  assert.deepEqual(toTimespec(-1n), { sec: -1n, nsec: 999_999_999 });
  assert.deepEqual(toTimespec(-1_000_000_000n), { sec: -1n, nsec: 0 });
});

test('fromTimespec() undoes toTimespec()', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(1n << 70n), max: 1n << 70n }), (ns) => {
      const time = toTimespec(ns);
      assert.ok(time.nsec >= 0 && time.nsec < 1e9);
      assert.equal(fromTimespec(time), ns);
    }),
  );
});
