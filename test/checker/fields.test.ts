import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Fields } from '../../src/checker/fields.ts';

const widths = fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 40 });
const filled = widths.chain((all) =>
  fc.tuple(fc.constant(all), fc.tuple(...all.map((width) => fc.integer({ min: 0, max: 2 ** width - 1 })))),
);

describe('Fields', () => {
  test('get() gives what put() took, for every field, whatever the others hold', () => {
    fc.assert(
      fc.property(filled, ([all, values]) => {
        const fields = new Fields(all);
        const state = new Int32Array(fields.words);
        values.forEach((value, field) => {
          assert.ok(fields.put(state, field, value));
        });
        assert.deepEqual(
          values.map((_, field) => fields.get(state, field)),
          values,
        );
      }),
    );
  });

  test('put() changes nothing where the value does not fit', () => {
    const fields = new Fields([3, 3]);
    const state = new Int32Array(fields.words);
    fields.put(state, 0, 5);
    assert.equal(fields.put(state, 1, 8), false);
    assert.deepEqual([fields.get(state, 0), fields.get(state, 1)], [5, 0]);
  });

  test('put() takes nothing but 0 in a field of no bits', () => {
    const fields = new Fields([0]);
    const state = new Int32Array(fields.words);
    assert.deepEqual([fields.put(state, 0, 0), fields.put(state, 0, 1)], [true, false]);
  });

  test('Fields refuses a field of more than 30 bits', () => {
    assert.throws(() => new Fields([4, 31]), { message: 'Fields: field 1 wants 31 bits of 30' });
  });
});
