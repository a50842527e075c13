import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyLines, lineCount, noteLine, wasPublished } from '../../../src/machine/simulated/published-lines.ts';

test('wasPublished() knows the pairs that were noted together, and no mixture of them', () => {
  const lines = emptyLines();
  const pairs = Array.from({ length: 100 }, (_, i) => [1000n + BigInt(i) * 7n, 50n + BigInt(i)] as const);
  for (const [tsc, ns] of pairs) noteLine(lines, tsc, ns);
  assert.equal(lineCount(lines), 100);
  for (const [tsc, ns] of pairs) {
    for (const [, otherNs] of pairs) assert.equal(wasPublished(lines, tsc, otherNs), ns === otherNs);
  }
});

test('wasPublished() knows nothing of a timestamp between two that were published, behind them or before them', () => {
  const lines = emptyLines();
  for (const tsc of [10n, 20n, 30n]) noteLine(lines, tsc, tsc);
  for (const tsc of [5n, 15n, 25n, 35n]) assert.equal(wasPublished(lines, tsc, tsc), false);
});

test('wasPublished() finds both where two lines begin at one timestamp', () => {
  const lines = emptyLines();
  for (const ns of [1n, 2n]) noteLine(lines, 10n, ns);
  assert.deepEqual([wasPublished(lines, 10n, 1n), wasPublished(lines, 10n, 2n)], [true, true]);
  assert.equal(wasPublished(lines, 10n, 3n), false);
});

test('wasPublished() takes what is too old to be known for whole, and still knows the latest 60 000', () => {
  const lines = emptyLines();
  for (let i = 1n; i <= 70_000n; i++) noteLine(lines, i, i);
  assert.equal(wasPublished(lines, 1n, 2n), true);
  assert.equal(wasPublished(lines, 10_001n, 10_001n), true);
  assert.equal(wasPublished(lines, 10_001n, 10_002n), false);
  assert.equal(wasPublished(lines, 70_000n, 69_999n), false);
});
