import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WarpCount } from '../../src/machine/measure.ts';
import { sum } from '../../src/report/observer.ts';

test('sum() adds one count of warps to those before, and keeps the worst of all', () => {
  const first: WarpCount = { reads: 10, warps: 1, stalls: 3, worstNs: 40 };
  assert.deepEqual(sum(undefined, first), first);
  for (const worstNs of [7, 90]) {
    const second: WarpCount = { reads: 5, warps: 2, stalls: 4, worstNs };
    assert.deepEqual(sum(first, second), { reads: 15, warps: 3, stalls: 7, worstNs: Math.max(40, worstNs) });
  }
});
