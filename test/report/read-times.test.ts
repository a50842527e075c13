import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { binOf, FROM_NS, ReadTimeCounter } from '../../src/report/read-times.ts';

test('FROM_NS rises, from 0, and no bin is narrower than a nanosecond', () => {
  assert.equal(FROM_NS[0], 0);
  for (let bin = 1; bin < FROM_NS.length; bin++) assert.ok(FROM_NS[bin]! - FROM_NS[bin - 1]! >= 1);
});

test('FROM_NS doubles every eight bins, from 4 ns to 8 ms, where its bins are wide enough', () => {
  const from64 = FROM_NS.indexOf(64);
  const doubled = FROM_NS.slice(from64 + 8);
  assert.deepEqual(doubled.filter((_, bin) => bin % 8 === 0).slice(0, 3), [128, 256, 512]);
  for (const [bin, ns] of doubled.entries()) assert.ok(Math.abs(ns - 2 * FROM_NS[from64 + bin]!) <= 1);
  assert.deepEqual([FROM_NS[1], FROM_NS.at(-1)], [4, 2 ** 23]);
});

test('binOf() is the bin that a time lies in, whatever the time', () => {
  fc.assert(
    fc.property(fc.oneof(fc.nat(), fc.nat(200), fc.maxSafeNat()), (ns) => {
      const bin = binOf(ns);
      assert.ok(FROM_NS[bin]! <= ns && ns < (FROM_NS[bin + 1] ?? Number.POSITIVE_INFINITY), `${ns} in bin ${bin}`);
    }),
  );
});

describe('ReadTimeCounter', () => {
  const clockOf = (times: readonly bigint[]) => {
    let now = 0n;
    let call = 0;
    return () => {
      now += call % 2 === 0 ? 1_000_000n : times[call >> 1]!; // what lies between two pairs does not count
      call++;
      return now;
    };
  };

  test('add() counts the time from one reading to the next, and nothing else', () => {
    const counter = new ReadTimeCounter();
    counter.add(clockOf([20n, 20n, 20n, 45n]), 4);
    const { fromNs, counts } = counter.counted();
    const counted = fromNs.flatMap((from, bin) => (counts[bin]! > 0 ? [[from, counts[bin]!]] : []));
    assert.deepEqual(counted, [
      [FROM_NS[binOf(20)], 3],
      [FROM_NS[binOf(45)], 1],
    ]);
  });

  test('counted() has no empty bin before the first, one behind the last, and nothing before the first reading', () => {
    const counter = new ReadTimeCounter();
    assert.deepEqual(counter.counted(), { fromNs: [], counts: [] });
    counter.add(clockOf([20n, 300n]), 2);
    const { counts } = counter.counted();
    assert.deepEqual([counts[0], counts.at(-2), counts.at(-1)], [1, 1, 0]);
  });
});
