import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FROM_NS } from '../../src/report/read-times.ts';
import { inWords, marks, timeAt } from '../../web/machine/times.ts';

const ALL_OF_THEM = Number.POSITIVE_INFINITY;
const marked = (bins: readonly number[], most: number) => marks(bins, most).map((place) => timeAt(bins, place));

describe('the histogram of read times', () => {
  test('marks() are the places of 1, 2 and 5 ns, tens of them and so on, one a bin, as far as there are bins', () => {
    const bins = [8, 16, 32, 64, 128];
    assert.deepEqual(marks(bins, ALL_OF_THEM), [2 / 8, 1 + 4 / 16, 2 + 18 / 32, 3 + 36 / 64]);
    assert.deepEqual(marked(bins, ALL_OF_THEM), [10, 20, 50, 100]);
    assert.deepEqual(
      marked([0, 4, 5, 10, 100, 300, 600, 1000, 1100], ALL_OF_THEM),
      [1, 5, 10, 20, 100, 200, 500, 1000],
    );
    assert.deepEqual(marks([], ALL_OF_THEM), []);
  });

  test('marks() are no more than there is room for, and apart from each other', () => {
    const bins = FROM_NS.slice(20, 90);
    const places = marks(bins, 8);
    assert.ok(places.length > 4 && places.length <= 8, `${places.length}`);
    for (const time of marked(bins, 8)) assert.match(String(time), /^[125]0*$/);
    for (const [i, place] of places.entries()) {
      assert.ok(i === 0 || Math.floor(place) - Math.floor(places[i - 1]!) >= bins.length / 8 - 1, `${places}`);
    }
  });

  test('timeAt() is where a bin begins, goes on evenly to the next, and is that of the last bin behind it', () => {
    const bins = [4, 8, 16];
    assert.deepEqual(
      [0, 0.25, 0.75, 1, 1.5, 2].map((place) => timeAt(bins, place)),
      [4, 5, 7, 8, 12, 16],
    );
  });

  test('inWords() counts all readings, and says below which time half of them, 99 % and 99.9 % were', () => {
    const share = (words: string) => [...words.matchAll(/less than ([\d.]+ \w+)/g)].map(([, time]) => time);
    const bins = [10, 20, 30, 40];
    const exact = inWords(bins, [500, 490, 9, 1]);
    assert.match(exact, /^1,000 readings /);
    assert.deepEqual(share(exact), ['20.0 ns', '30.0 ns', '40.0 ns']);
    assert.deepEqual(share(inWords(bins, [499, 490, 10, 0])), ['30.0 ns', '40.0 ns', '40.0 ns']);
    assert.deepEqual(share(inWords(bins, [0, 1, 0, 0])), ['30.0 ns', '30.0 ns', '30.0 ns']);
  });
});
