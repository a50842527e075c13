import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { REDUCTION_NAMES, type ReductionName } from '../../src/checker/reductions.ts';
import { type Configuration, DEFAULT_CONFIGURATION } from '../../src/checker/scenarios.ts';
import { READERS, type ReaderName } from '../../src/guest/readers.ts';
import { reachedBy } from '../../tools/reached.ts';

const STEPS = REDUCTION_NAMES.filter((name) => name !== 'rounds');
const readers = Object.keys(READERS) as ReaderName[];

/** By what is switched off: where. */
const COMPARED: readonly (readonly [readonly ReductionName[], readonly Partial<Configuration>[]])[] = [
  [STEPS, readers.flatMap((reader) => (['kvm', 'record0'] as const).map((host) => ({ reader, host })))],
  [
    STEPS,
    [
      { reader: 'before', host: 'none', update: 'ahead', writer: '2015' },
      { reader: 'landed', host: 'all', update: 'set-clock', writer: '2014' },
      { reader: 'cached', host: 'none', update: 'behind', writer: 'xen', calls: 2 },
      { reader: 'landed', host: 'kvm', calls: 2, kernel: 'mixed' },
      { reader: 'relaxed', host: 'all', update: 'ahead', ticks: 1 },
      { reader: 'landed', early: 'any-order' },
      { reader: 'cached', early: 'late-tsc' },
      { reader: 'relaxed', early: 'late-tsc' },
    ],
  ],
  [STEPS, (['landed', 'before'] as const).map((reader) => ({ reader, memory: 'tso' }))],
  [['private'], [{ host: 'record0', memory: 'tso' }]],
  [['own-stores'], [{ host: 'record0', memory: 'tso', update: 'ahead' }]],
  [['leaving'], [{ host: 'record0' }, { threads: 2 }]],
  [
    ['rounds'],
    [{ reader: 'rfc' }, { reader: 'landed' }, { reader: 'cached' }, { reader: 'landed', early: 'any-order' }],
  ],
];

describe('explore() without a reduction', () => {
  for (const [unreduced, all] of COMPARED) {
    for (const changes of all) {
      test(`without ${unreduced.join(', ')} it reaches the same in more states: ${JSON.stringify(changes)}`, () => {
        const configuration = { ...DEFAULT_CONFIGURATION, ...changes };
        const reduced = reachedBy(configuration, []);
        const full = reachedBy(configuration, unreduced);
        assert.deepEqual(
          { complete: full.complete, found: full.found, outcomes: full.outcomes },
          { complete: true, found: reduced.found, outcomes: reduced.outcomes },
        );
        assert.ok(full.states > reduced.states, `${full.states}, reduced to ${reduced.states}`);
      });
    }
  }

  test('any-vcpu saves steps, not states', () => {
    const [reduced, full] = [reachedBy(DEFAULT_CONFIGURATION, []), reachedBy(DEFAULT_CONFIGURATION, ['any-vcpu'])];
    assert.ok(full.transitions > reduced.transitions);
    assert.equal(full.states, reduced.states);
  });
});
