import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ANYWHERE, NO_WINDOW, TICK, Windows } from '../../src/checker/windows.ts';

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

/** What a thread that may run on any vCPU lives to see: a cell, or the tick, loses a value, or a vCPU is interrupted. */
type Event = { readonly lost: number } | { readonly interrupted: number };

const CELLS = [TICK, 0, 1, 2];

const events: fc.Arbitrary<Event[]> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ lost: fc.constantFrom(...CELLS) }) },
    fc.record({ interrupted: fc.integer({ min: 0, max: 2 }) }),
  ),
  { maxLength: 9 },
);

const olderValues = (windows: Windows, window: number, cell: number): number[] =>
  Array.from({ length: windows.choices(window, cell) }, (_, choice) => windows.value(window, cell, choice));

describe('Windows', () => {
  for (const inOrder of [true, false]) {
    test(`after() allows what some moments of the loads allow, and nothing else: ${inOrder ? 'late-tsc' : 'any-order'}`, () => {
      fc.assert(
        fc.property(happenings, (all) => assert.deepEqual(byWindows(all, inOrder), byMoments(all, inOrder))),
        { numRuns: 500 },
      );
    });
  }

  test('on() keeps what was lost since that vCPU was interrupted last, in any order of losses and interruptions', () => {
    fc.assert(
      fc.property(events, (all) => {
        const windows = new Windows('late-tsc');
        const window = all.reduce(
          (before, event, at) =>
            'lost' in event ? windows.lost(before, event.lost, at) : windows.interrupted(before, event.interrupted),
          NO_WINDOW,
        );
        assert.equal(windows.vcpu(window), ANYWHERE);
        for (const vcpu of [0, 1, 2]) {
          const since = all.findLastIndex((event) => 'interrupted' in event && event.interrupted === vcpu);
          const on = windows.on(window, vcpu);
          assert.equal(windows.vcpu(on), vcpu);
          for (const cell of CELLS) {
            const expected = [...all.keys()].filter((at) => {
              const event = all[at]!;
              return at > since && 'lost' in event && event.lost === cell;
            });
            assert.deepEqual(olderValues(windows, on, cell), expected);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test('interrupted() throws away what a thread on that vCPU may have loaded early, and nothing on another', () => {
    const windows = new Windows('late-tsc');
    for (const vcpu of [0, 1]) {
      const window = windows.lost(windows.opened(vcpu), 2, 7);
      assert.equal(windows.vcpu(window), vcpu);
      assert.deepEqual(olderValues(windows, windows.interrupted(window, 1 - vcpu), 2), [7]);
      assert.equal(windows.interrupted(window, vcpu), NO_WINDOW);
    }
  });

  test('isOpen() is true while a cell has an older value, and inTurn() ends that but not for the tick', () => {
    const windows = new Windows('late-tsc');
    const ticked = windows.lost(windows.opened(0), TICK, 3);
    assert.equal(windows.isOpen(ticked), false);
    const both = windows.lost(ticked, 0, 4);
    assert.equal(windows.isOpen(both), true);
    assert.equal(windows.isOpen(windows.inTurn(both)), false);
    assert.deepEqual(olderValues(windows, windows.inTurn(both), TICK), [3]);
  });

  test('a TSC read done early bounds the next one, and no load', () => {
    const windows = new Windows('late-tsc');
    const window = [TICK, 0, TICK, 0].reduce((before, cell, at) => windows.lost(before, cell, at), windows.opened(0));
    for (const [choice, ticks] of [
      [1, [2]],
      [2, []],
    ] as const) {
      const after = windows.after(window, TICK, choice);
      assert.deepEqual([olderValues(windows, after, TICK), olderValues(windows, after, 0)], [ticks, [1, 3]]);
    }
    const loaded = windows.after(window, 0, 1);
    assert.deepEqual([olderValues(windows, loaded, TICK), olderValues(windows, loaded, 0)], [[0, 2], [3]]);
  });

  test('contents that no load can tell apart have one number', () => {
    const anyOrder = new Windows('any-order');
    assert.equal(anyOrder.opened(1), NO_WINDOW);
    const [first, second] = [
      [0, 1],
      [1, 0],
    ].map((cells) => cells.reduce((before, cell) => anyOrder.lost(before, cell, 5), NO_WINDOW));
    assert.equal(first, second);
    const inOrder = new Windows('late-tsc');
    assert.equal(inOrder.interrupted(NO_WINDOW, 1), NO_WINDOW);
  });

  test('a load of a cell that has not changed lets the next load be as early as before', () => {
    const windows = new Windows('late-tsc');
    const window = windows.lost(NO_WINDOW, 1, 0);
    assert.equal(windows.choices(windows.after(window, 0, 0), 1), 1);
  });
});
