import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pvti } from '../../src/abi/pvti.ts';
import type { RecordChange } from '../../src/guest/change.ts';
import { watchRecord } from '../../src/machine/watch.ts';

const RECORD: Pvti = {
  version: 4,
  tscTimestamp: 0n,
  systemTime: 0n,
  tscToSystemMul: 0x80000000,
  tscShift: 1,
  flags: 1,
};

test('watchRecord() tells every listener of each rewrite once, with what it was', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let record = RECORD;
  let looks = 0;
  const watch = watchRecord(
    () => ({ record, tsc: 1_000_000n }),
    100,
    () => looks++,
  );
  const seen: RecordChange[] = [];
  const stop = watch.onChange((change) => seen.push(change));
  watch.onChange((change) => seen.push(change));
  t.mock.timers.tick(100);
  assert.equal(seen.length, 0);
  record = { ...RECORD, version: 6, systemTime: 7n };
  t.mock.timers.tick(300);
  assert.deepEqual(
    seen.map(({ kind, jumpNs }) => [kind, jumpNs]),
    [
      ['refresh', 7n],
      ['refresh', 7n],
    ],
  );
  stop();
  record = { ...RECORD, version: 8, flags: 0 };
  t.mock.timers.tick(100);
  assert.deepEqual(
    seen.map(({ kind }) => kind),
    ['refresh', 'refresh', 'unstable'],
  );
  assert.equal(looks, 6, 'one at the start, five ticks');
});

test('watchRecord() looks no more when the last listener has gone, and starts afresh with the next', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let looks = 0;
  let record = RECORD;
  const watch = watchRecord(() => {
    looks++;
    return { record, tsc: 1_000_000n };
  }, 100);
  watch.onChange(() => {})();
  t.mock.timers.tick(1000);
  assert.equal(looks, 1);
  record = { ...RECORD, version: 6 };
  const seen: string[] = [];
  watch.onChange(({ kind }) => seen.push(kind));
  t.mock.timers.tick(100);
  assert.deepEqual(seen, [], 'what happened while nobody listened is not told');
  record = { ...RECORD, version: 8 };
  t.mock.timers.tick(100);
  assert.deepEqual(seen, ['refresh']);
});

test('onChange() refuses what is no function at once, and not when the record is rewritten', () => {
  const watch = watchRecord(() => ({ record: RECORD, tsc: 0n }), 100);
  assert.throws(() => watch.onChange(7 as never), { name: 'TypeError', message: 'onChange takes a function, got 7' });
});
