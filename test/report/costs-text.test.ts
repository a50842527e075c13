import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ReaderCost } from '../../src/report/bench.ts';
import { readersTable } from '../../src/report/costs-text.ts';

const output = { write() {}, isTerminal: false, colour: false };
const cost = (name: string, min: number, median: number, floor: number): ReaderCost => {
  return { name, ns: { min, median, max: 2 * median }, toFloor: median / floor };
};

describe('readersTable()', () => {
  test('gives each reader beside the floor and beside landed', () => {
    const text = readersTable(output, [
      cost('before', 30, 36, 12),
      cost('landed', 12, 15, 12),
      cost('floor', 12, 12, 12),
    ]);
    const [heading, before, landed, floor] = text.split('\n');
    assert.match(heading!, /to lfence;rdtsc +to landed$/);
    assert.match(before!, /before +36\.0 +30\.0 +72\.0 +3\.00 x +2\.40 x$/);
    assert.match(landed!, /1\.25 x +1\.00 x$/);
    assert.match(floor!, /1\.00 x +0\.80 x$/);
  });

  test('has no column for landed where that was not measured', () => {
    assert.doesNotMatch(readersTable(output, [cost('floor', 12, 12, 12)]), /landed/);
  });

  test('says that other work ran beside where the floor was slower in half of the rounds, and only there', () => {
    assert.match(readersTable(output, [cost('floor', 12, 16, 16)]), /\nother work ran beside this: .* say little\n$/);
    assert.doesNotMatch(readersTable(output, [cost('floor', 12, 14, 14)]), /other work/);
  });
});
