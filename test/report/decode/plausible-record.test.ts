import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { doubtsAt } from '../../../src/guest/plausible.ts';
import { nextCandidate } from '../../../src/report/decode/plausible-record.ts';
import { recordBytes } from './image-files.ts';

describe('nextCandidate()', () => {
  type Next = typeof nextCandidate;

  /** Words that are often those of a record; wherever nothing is doubtful there must be a candidate. */
  function missesNothing(next: Next): void {
    const word = fc.oneof(fc.constantFrom(0, 2, 24, 3_308_726_820 | 0, 0x1ff, 0x0ff), fc.integer());
    const planted = fc.array(fc.nat({ max: 120 }), { maxLength: 6 });
    fc.assert(
      fc.property(fc.array(word, { minLength: 128, maxLength: 128 }), planted, (values, at) => {
        const words = Int32Array.from(values);
        const bytes = new Uint8Array(words.buffer);
        for (const index of at) bytes.set(recordBytes(), index * 4);
        const view = new DataView(words.buffer);
        const expected: number[] = [];
        for (let index = 0; index + 8 <= words.length; index++) {
          if (doubtsAt(view, index * 4).length === 0) expected.push(index);
        }
        const found: number[] = [];
        for (let index = next(words, 0, words.length); index !== -1; index = next(words, index + 1, words.length)) {
          assert.ok(index + 8 <= words.length);
          if (doubtsAt(view, index * 4).length === 0) found.push(index);
        }
        assert.deepEqual(found, expected);
      }),
      { numRuns: 1000 },
    );
  }

  test('nextCandidate() passes over no record', () => missesNothing(nextCandidate));

  test('that check catches one that jumps too far, one that ends early, and one that takes mul for signed', () => {
    assert.throws(() => missesNothing((words, from, end) => (from % 2 === 0 ? nextCandidate(words, from, end) : -1)));
    assert.throws(() => missesNothing((words, from, end) => nextCandidate(words, from, end - 1)));
    assert.throws(() =>
      missesNothing((words, from, end) => {
        const at = nextCandidate(words, from, end);
        return at === -1 || words[at + 6]! > 0 ? at : -1;
      }),
    );
  });
});
