import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CellSpec, Cells, MAX_CELLS } from '../../src/checker/cells.ts';
import { vmCells } from '../../src/checker/memory-map.ts';

const spec = (address: number): CellSpec => {
  return { name: `word at ${address}`, address, bytes: 4, initial: 0, role: 'other', record: -1 };
};

describe('Cells', () => {
  test('intern() tells equal values of different updates apart, and knows one again', () => {
    const cells = new Cells([spec(0)]);
    const ids = [cells.intern(0, 7, 1), cells.intern(0, 7, 2), cells.intern(0, 7, 1)];
    assert.deepEqual(ids, [1, 2, 1]);
    assert.deepEqual([cells.value(0, 2), cells.stamp(0, 2), cells.count(0)], [7, 2, 3]);
  });

  test('intern() refuses the 257th value of a cell', () => {
    const cells = new Cells([spec(0)]);
    for (let value = 1; value < 256; value++) cells.intern(0, value, 0);
    assert.throws(() => cells.intern(0, 256, 0), { message: /word at 0 took more than 256 values/ });
  });

  test('at() finds a byte in its word, and refuses what lies in none or across two', () => {
    const cells = new Cells([spec(0), spec(4)]);
    assert.deepEqual(cells.at(5, 1), { cell: 1, offset: 1 });
    assert.throws(() => cells.at(2, 4), { message: 'checker: no cell takes 4 bytes at 0x2' });
    assert.throws(() => cells.at(8, 4), RangeError);
  });

  test('the cells of the largest VM are no more than a store buffer can number', () => {
    assert.doesNotThrow(() => new Cells(vmCells(8)));
    const many = Array.from({ length: MAX_CELLS + 1 }, (_, index) => spec(index * 4));
    assert.throws(() => new Cells(many), { message: 'checker: 257 cells, of 256' });
  });
});
