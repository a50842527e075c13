import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { StateSet } from '../../src/checker/state-set.ts';

const ROOMY = 2 ** 26;
const state = (...words: number[]) => Int32Array.from(words);

describe('StateSet', () => {
  test('add() says whether a state is new, for any states, as a Map of their texts does', () => {
    const word = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.integer());
    fc.assert(
      fc.property(fc.array(fc.tuple(word, word, word), { maxLength: 300 }), (states) => {
        const set = new StateSet(3, ROOMY);
        const known = new Map<string, number>();
        for (const words of states) {
          const key = words.join();
          assert.equal(set.add(state(...words), known.size - 1), !known.has(key));
          if (!known.has(key)) known.set(key, known.size);
        }
        assert.equal(set.count, known.size);
      }),
    );
  });

  test('read() and parent() give back every one of a hundred thousand states, and add() knows each again', () => {
    const set = new StateSet(2, ROOMY);
    for (let i = 0; i < 100_000; i++) set.add(state(i, i * 7), i - 1);
    const into = new Int32Array(2);
    for (let i = 0; i < 100_000; i++) {
      set.read(i, into);
      assert.deepEqual([into[0], into[1], set.parent(i)], [i, i * 7, i - 1]);
      assert.deepEqual([set.add(into, -1), set.find(into)], [false, i]);
    }
    assert.equal(set.count, 100_000);
  });

  test('add() keeps apart states that differ in one bit only', () => {
    const set = new StateSet(4, ROOMY);
    for (let bit = 0; bit < 128; bit++) {
      const words = [0, 0, 0, 0];
      words[bit >> 5]! |= 1 << (bit & 31);
      assert.equal(set.add(state(...words), -1), true);
    }
    assert.equal(set.count, 128);
  });

  test('add() says undefined, and adds nothing, where the memory is used up', () => {
    const set = new StateSet(1, 2 ** 20);
    let count = 0;
    while (set.add(state(count), -1) !== undefined) count++;
    assert.equal(set.count, count);
    assert.ok(set.bytes <= 2 ** 20);
    assert.equal(set.add(state(0), -1), false);
  });

  test('find() gives the number of a state, or -1', () => {
    const set = new StateSet(1, ROOMY);
    set.add(state(5), -1);
    set.add(state(6), 0);
    assert.deepEqual([set.find(state(6)), set.find(state(7))], [1, -1]);
  });
});
