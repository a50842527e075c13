import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interleaved, spreadOf } from '../../src/report/statistics.ts';

test('spreadOf() gives least, median and most of odd and even numbers of values, and leaves them in place', () => {
  const values = [5, 1, 3];
  assert.deepEqual(spreadOf(values), { min: 1, median: 3, max: 5 });
  assert.deepEqual(values, [5, 1, 3]);
  assert.deepEqual(spreadOf([4, 1, 2, 10]), { min: 1, median: 3, max: 10 });
  assert.deepEqual(spreadOf([7]), { min: 7, median: 7, max: 7 });
  assert.throws(() => spreadOf([]), RangeError);
});

test('interleaved() lets all take turns in every round, and throws the warm-up away', () => {
  const order: string[] = [];
  let calls = 0;
  const contender = (name: string) => ({
    name,
    run: () => {
      order.push(name);
      return calls++ < 2 ? 1000 : 1;
    },
  });
  const rounds: number[] = [];
  const spreads = interleaved([contender('a'), contender('b')], 2, 1, (done) => rounds.push(done));
  assert.equal(order.join(''), 'ababab');
  assert.deepEqual(
    [...spreads],
    [
      ['a', { min: 1, median: 1, max: 1 }],
      ['b', { min: 1, median: 1, max: 1 }],
    ],
  );
  assert.deepEqual(rounds, [1, 2, 3]);
});
