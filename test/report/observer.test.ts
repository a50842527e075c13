import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WarpCount } from '../../src/machine/measure.ts';
import { observe, sum } from '../../src/report/observer.ts';
import { liveHere } from '../machine/live-here.ts';

test('observe() tells a sample and the costs at once, of the records only where one changed, and of the order when it is counted', async (t) => {
  if (liveHere(t) === undefined) return;
  const told: string[] = [];
  const counted = Promise.withResolvers<WarpCount>();
  const observer = observe(
    '1.2.3',
    (name, what) => {
      told.push(name);
      if (name === 'order') counted.resolve(what as WarpCount);
    },
    (why) => counted.reject(new Error(why)),
  );
  t.after(() => observer.stop());
  assert.deepEqual(told, ['sample', 'costs']);
  const order = await counted.promise;
  assert.equal(told.includes('records'), told.includes('change'));
  assert.deepEqual([observer.hello().order, observer.measured().warps], [order, order]);
  assert.ok(order.reads > 0);
});

test('sum() adds one count of warps to those before, and keeps the worst of all', () => {
  const first: WarpCount = { reads: 10, warps: 1, stalls: 3, worstNs: 40 };
  assert.deepEqual(sum(undefined, first), first);
  for (const worstNs of [7, 90]) {
    const second: WarpCount = { reads: 5, warps: 2, stalls: 4, worstNs };
    assert.deepEqual(sum(first, second), { reads: 15, warps: 3, stalls: 7, worstNs: Math.max(40, worstNs) });
  }
});
