import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Cells } from '../../src/checker/cells.ts';
import { vmCells } from '../../src/checker/memory-map.ts';
import { KIND, type Operation, Operations } from '../../src/checker/operations.ts';

const ONE: Operation = {
  kind: KIND.update,
  cell: 1,
  bytes: 8,
  offset: 0,
  rule: 'compareExchange',
  operand: 1n,
  desired: 2n,
  stamp: 3,
};

const OTHERS: readonly Partial<Operation>[] = [
  { kind: KIND.load },
  { cell: 2 },
  { bytes: 4 },
  { offset: 1 },
  { rule: 'exchange' },
  { operand: 2n },
  { desired: 3n },
  { stamp: 4 },
];

describe('Operations', () => {
  test('is() and intern() know an operation again', () => {
    const operations = new Operations(new Cells(vmCells(1)));
    const id = operations.intern(ONE);
    assert.deepEqual([operations.is(id, { ...ONE }), operations.intern({ ...ONE }), operations.count], [true, id, 1]);
  });

  for (const other of OTHERS) {
    const [[field]] = Object.entries(other) as [[string, unknown]];
    test(`is() and intern() tell apart operations that differ in their ${field} only`, () => {
      const operations = new Operations(new Cells(vmCells(1)));
      const id = operations.intern(ONE);
      assert.equal(operations.is(id, { ...ONE, ...other }), false);
      assert.notEqual(operations.intern({ ...ONE, ...other }), id);
    });
  }
});
