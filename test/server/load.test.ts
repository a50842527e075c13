import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load, whoHeardAll } from '../../tools/server-load.ts';
import { liveHere } from '../machine/live-here.ts';

test('500 listeners at once are all told every event, and take little memory', async (t) => {
  if (liveHere(t) === undefined) return;
  const { events, complete, rssGrowthBytes } = await load(500, 3, 500);
  assert.ok(events >= 3, `${events} events`);
  assert.equal(complete, 500);
  assert.ok(rssGrowthBytes < 64 * 2 ** 20, `${rssGrowthBytes} bytes`);
});

test('whoHeardAll() finds who missed an event, heard one twice, or heard them out of order', () => {
  assert.deepEqual(
    whoHeardAll([
      [1, 2, 3],
      [1, 2, 3, 4],
    ]),
    { events: 3, complete: 2 },
  );
  assert.deepEqual(
    whoHeardAll([
      [1, 3],
      [1, 2, 3],
      [1, 2, 2, 3],
      [2, 1, 3],
    ]),
    { events: 3, complete: 1 },
  );
  assert.deepEqual(whoHeardAll([[], [1]]), { events: 0, complete: 2 });
});
