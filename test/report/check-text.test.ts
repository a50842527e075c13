import assert from 'node:assert/strict';
import { test } from 'node:test';
import { costText, peakText } from '../../src/report/check-text.ts';

const COST = { complete: true, states: 12_000, seconds: 0.5, bytes: 3 * 2 ** 20 } as Parameters<typeof costText>[0];

test('costText() says how far the search went, its states a second, and its memory', () => {
  assert.equal(costText(COST), '12 000 states, complete, 0.50 s, 24 000 states/s, 3 MiB of states');
  assert.match(costText({ ...COST, seconds: 4 }), /, 4\.00 s, 3 000 states\/s, /);
  assert.match(costText({ ...COST, complete: false }), /, CUT OFF by a bound: no pass, /);
  assert.doesNotMatch(costText({ ...COST, seconds: 0 }), /Infinity|NaN/);
});

test('costText() and peakText() round memory up to whole MiB', () => {
  assert.match(costText({ ...COST, bytes: 2 ** 20 + 1 }), /, 2 MiB of states$/);
  assert.equal(peakText(96 * 2 ** 20 - 1), '96 MiB at the peak');
});
