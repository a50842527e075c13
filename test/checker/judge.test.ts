import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Cells } from '../../src/checker/cells.ts';
import { evidenceIn, judge, NO_BIT, NO_OUTCOME } from '../../src/checker/judge.ts';
import { vmCells } from '../../src/checker/memory-map.ts';
import { KIND, type Kind } from '../../src/checker/operations.ts';
import { type Answer, NO_ANSWER } from '../../src/checker/replay.ts';
import type { Event } from '../../src/checker/surroundings.ts';

const cells = new Cells(vmCells(2));

function event(kind: Kind, cell: string, access: { bytes: number; offset: number }, answer: Partial<Answer>): Event {
  const place = cells.specs.findIndex(({ name }) => name === cell);
  return {
    operation: { kind, cell: place, ...access, operand: 0, stamp: 0 },
    answer: { ...NO_ANSWER, ...answer },
  };
}

/** A load of the whole of `cell` that gets what update `stamp` left there. */
const load = (cell: string, stamp: number): Event => event(KIND.load, cell, { bytes: 4, offset: 0 }, { stamp });
/** Of the byte that holds the stable bit. */
const flags = (value: number, stamp: number): Event =>
  event(KIND.load, 'record 0 tscShift and flags', { bytes: 1, offset: 1 }, { value, stamp });
const tsc = (expected: bigint, vcpu: number, kind: Kind = KIND.rdtsc): Event =>
  event(kind, 'none', { bytes: 0, offset: 0 }, { value: 1n, vcpu, expected });
const pin = event(KIND.pin, 'none', { bytes: 0, offset: 0 }, { value: 1 });

const WORDS = ['tscTimestamp', 'systemTime', 'tscToSystemMul', 'tscShift and flags'];
const record = (stamp: number): Event[] => WORDS.map((word) => load(`record 0 ${word}`, stamp));

describe('judge()', () => {
  test('judge() finds nothing in a call whose bit, words and TSC are of one update', () => {
    const outcome = judge(cells, [flags(1, 3), ...record(3), tsc(117n, 0)], 117n);
    assert.deepEqual(outcome, { ns: 117n, bit: 3, broken: [], isCall: true, wall: 0, result: '' });
  });

  for (const word of WORDS) {
    test(`judge() says torn where only ${word} is of another update, before or after`, () => {
      for (const other of [0, 2]) {
        const { broken } = judge(cells, [...record(1), load(`record 0 ${word}`, other)], 117n);
        assert.deepEqual(broken, ['torn']);
      }
    });
  }

  test("judge() says torn where the wall clock's words are of two, whose update the outcome names", () => {
    const wall = (sec: number, nsec: number) => [load('wall clock sec', sec), load('wall clock nsec', nsec)];
    const [whole, torn] = [wall(2, 2), wall(2, 1)].map((words) => judge(cells, [...words, ...record(1)], 117n));
    assert.deepEqual([whole!.broken, whole!.wall], [[], 2]);
    assert.deepEqual([torn!.broken, torn!.wall], [['torn'], 2]);
  });

  test('judge() says mixed where the stable bit is of another update than the words, before or after', () => {
    for (const stamp of [0, 2]) {
      const { broken, bit } = judge(cells, [flags(1, stamp), ...record(1)], 117n);
      assert.deepEqual([broken, bit], [['mixed'], stamp]);
    }
  });

  test('judge() takes no bit for the one that let a time through but the stable one', () => {
    const { broken, bit } = judge(cells, [flags(0b1111_1110, 0), ...record(1)], 117n);
    assert.deepEqual([broken, bit], [[], NO_BIT]);
  });

  test("judge() takes the version of a kept line for the bit, and no record's", () => {
    const bitOf = (cell: string) => judge(cells, [load(cell, 2), ...record(2)], 117n).bit;
    assert.deepEqual([bitOf('line version'), bitOf('record 0 version')], [2, NO_BIT]);
  });

  test('judge() looks at the last load of each word, whichever record that is of', () => {
    const { broken, bit } = judge(cells, [flags(1, 0), ...record(0), ...record(1), flags(1, 1)], 117n);
    assert.deepEqual([broken, bit], [[], 1]);
    assert.deepEqual(judge(cells, [...record(0), load('record 1 systemTime', 1)], 117n).broken, ['torn']);
  });

  for (const kind of [KIND.rdtsc, KIND.rdtscAnyTime]) {
    test(`judge() says own where the time is not what the last TSC read gives there: operation ${kind}`, () => {
      const events = [tsc(110n, 0), ...record(1), tsc(117n, 1, kind)];
      assert.deepEqual(judge(cells, events, 117n).broken, []);
      assert.deepEqual(judge(cells, events, 110n).broken, ['own']);
      assert.deepEqual(judge(cells, events, 118n).broken, ['own']);
      assert.equal(evidenceIn(cells, events).tscVcpu, 1);
    });
  }

  test('judge() looks at nothing from before the kernel was asked, which has a clamp and needs no bit', () => {
    const kernel = [pin, ...record(1), flags(1, 0), tsc(110n, 1)];
    const expected = { ns: 117n, bit: NO_BIT, broken: [], isCall: true, wall: 0, result: 'kernel' };
    assert.deepEqual(judge(cells, kernel, 117n), expected);
    assert.deepEqual(judge(cells, [load('record 0 systemTime', 0), ...kernel], 117n), expected);
    assert.deepEqual(judge(cells, [...kernel, load('record 1 systemTime', 2)], 117n).broken, ['torn']);
  });

  test('judge() finds nothing in a call that returned no time', () => {
    assert.deepEqual(judge(cells, [...record(1), ...record(0).slice(2)], undefined), { ...NO_OUTCOME, isCall: true });
    assert.equal(evidenceIn(cells, []).tscVcpu, -1);
  });
});
