import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { NO_WINDOW, Windows } from '../../src/checker/windows.ts';

/** What happens while a thread runs on: a cell gets its next value, or the thread does a load of it. */
type Happening = { readonly kind: 'store' | 'load'; readonly cell: number };

const happenings: fc.Arbitrary<Happening[]> = fc.array(
  fc.record({ kind: fc.constantFrom('store', 'load'), cell: fc.integer({ min: 0, max: 2 }) }),
  { maxLength: 9 },
);

/** Every combination of values that the loads can get, each done at a moment since the one before it and up to its turn. */
function byMoments(all: readonly Happening[], inOrder: boolean): string[] {
  const moments: number[][] = [[0, 0, 0]];
  let results: { readonly got: readonly number[]; readonly since: readonly number[] }[] = [
    { got: [], since: [0, 0, 0] },
  ];
  for (const { kind, cell } of all) {
    if (kind === 'store') {
      moments.push(moments.at(-1)!.map((value, index) => (index === cell ? value + 1 : value)));
      continue;
    }
    results = results.flatMap(({ got, since }) =>
      moments.flatMap((values, moment) => {
        if (moment < since[cell]!) return [];
        const later = since.map((before, index) => (inOrder || index === cell ? moment : before));
        return [{ got: [...got, values[cell]!], since: later }];
      }),
    );
  }
  return [...new Set(results.map(({ got }) => got.join()))].sort();
}

function byWindows(all: readonly Happening[], inOrder: boolean): string[] {
  const windows = new Windows(inOrder ? 'late-tsc' : 'any-order');
  const present = [0, 0, 0];
  let results: { readonly got: readonly number[]; readonly window: number }[] = [{ got: [], window: NO_WINDOW }];
  for (const { kind, cell } of all) {
    const value = present[cell]!;
    if (kind === 'store') {
      results = results.map(({ got, window }) => ({ got, window: windows.lost(window, cell, value) }));
      present[cell]!++;
      continue;
    }
    results = results.flatMap(({ got, window }) => [
      { got: [...got, value], window: windows.after(window, cell, windows.choices(window, cell)) },
      ...Array.from({ length: windows.choices(window, cell) }, (_, choice) => ({
        got: [...got, windows.value(window, cell, choice)],
        window: windows.after(window, cell, choice),
      })),
    ]);
  }
  return [...new Set(results.map(({ got }) => got.join()))].sort();
}

describe('Windows', () => {
  for (const inOrder of [true, false]) {
    test(`after() allows what some moments of the loads allow, and nothing else: ${inOrder ? 'late-tsc' : 'any-order'}`, () => {
      fc.assert(
        fc.property(happenings, (all) => assert.deepEqual(byWindows(all, inOrder), byMoments(all, inOrder))),
        { numRuns: 500 },
      );
    });
  }

  test('a load of a cell that has not changed lets the next load be as early as before', () => {
    const windows = new Windows('late-tsc');
    const window = windows.lost(NO_WINDOW, 1, 0);
    assert.equal(windows.choices(windows.after(window, 0, 0), 1), 1);
  });
});
