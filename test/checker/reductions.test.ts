import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explore } from '../../src/checker/explore.ts';
import { REDUCTION_NAMES, type ReductionName, reducedBut } from '../../src/checker/reductions.ts';
import { type Configuration, DEFAULT_CONFIGURATION, scenarioOf } from '../../src/checker/scenarios.ts';
import { makeWorld } from '../../src/checker/world.ts';
import { READERS, type ReaderName } from '../../src/guest/readers.ts';

/** What is violated and what happens, and every outcome that a call can have. */
function whatIsReached(configuration: Configuration, unreduced: readonly ReductionName[]) {
  const { world, complete, states, found } = explore(makeWorld(scenarioOf(configuration), reducedBut(unreduced)));
  assert.ok(complete);
  const outcomes = Array.from({ length: world.outcomes.count }, (_, id) =>
    Object.values(world.outcomes.get(id)).join(' '),
  );
  return { states, reached: { found: found.map(({ name }) => name).sort(), outcomes: outcomes.sort() } };
}

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
        const reduced = whatIsReached(configuration, []);
        const full = whatIsReached(configuration, unreduced);
        assert.deepEqual(full.reached, reduced.reached);
        assert.ok(full.states > reduced.states, `${full.states}, reduced to ${reduced.states}`);
      });
    }
  }

  test('any-vcpu saves steps, not states', () => {
    const transitions = ([[], ['any-vcpu']] as const).map((unreduced) => {
      return explore(makeWorld(scenarioOf(DEFAULT_CONFIGURATION), reducedBut(unreduced))).transitions;
    });
    assert.ok(transitions[1]! > transitions[0]!, transitions.join());
  });
});
