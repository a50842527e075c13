import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explore, violated, witnessed } from '../../src/checker/explore.ts';
import type { PropertyName } from '../../src/checker/properties.ts';
import { type Configuration, DEFAULT_CONFIGURATION, scenarioOf } from '../../src/checker/scenarios.ts';
import { makeWorld } from '../../src/checker/world.ts';

function verdictOf(changes: Partial<Configuration>) {
  const exploration = explore(makeWorld(scenarioOf({ ...DEFAULT_CONFIGURATION, ...changes })));
  assert.ok(exploration.complete);
  return {
    violated: violated(exploration).map(({ name }) => name),
    witnessed: witnessed(exploration).map(({ name }) => name),
    steps: Object.fromEntries(exploration.found.map(({ name, steps }) => [name, steps])),
  };
}

const violations = (changes: Partial<Configuration>): PropertyName[] => verdictOf(changes).violated;

describe("the thread's race: vCPU 1, told that the clock is not stable, and record 0", () => {
  test('rfc under kvm uses the old bit, in at most 40 steps', () => {
    const { violated: names, steps } = verdictOf({ reader: 'rfc', host: 'kvm' });
    assert.deepEqual(names, ['mixed', 'stale-begin', 'stale-use', 'own']);
    assert.ok(steps['stale-begin']! <= 40, `${steps['stale-begin']} steps`);
  });

  test('landed under kvm uses the old bit too, but bit and values are of one update', () => {
    assert.deepEqual(violations({ reader: 'landed', host: 'kvm' }), ['stale-begin', 'stale-use', 'own']);
  });

  for (const memory of ['sc', 'tso'] as const) {
    for (const reader of ['landed', 'cached'] as const) {
      for (const update of ['unstable', 'ahead', 'set-clock'] as const) {
        test(`record0 closes it for ${reader} in ${memory} through ${update}`, () => {
          assert.deepEqual(violations({ reader, host: 'record0', memory, update }), []);
        });
      }
    }
  }

  test('record0 does not close it for rfc: its bit is from before the update, its values from after', () => {
    assert.deepEqual(violations({ reader: 'rfc', host: 'record0' }), ['mixed', 'stale-use', 'own']);
  });

  test('with the kernel asked where no record is stable, time steps back under kvm and does not under record0', () => {
    assert.ok(violations({ host: 'kvm', kernel: 'fallback', calls: 2 }).includes('backwards'));
    assert.deepEqual(violations({ host: 'record0', kernel: 'fallback', calls: 2 }), []);
  });

  test("and so where every second reading is the kernel's own, of its vCPU's record", () => {
    assert.ok(violations({ host: 'kvm', kernel: 'mixed', calls: 2 }).includes('backwards'));
    assert.deepEqual(violations({ host: 'record0', kernel: 'mixed', calls: 2 }), []);
  });

  for (const sizes of [{ vcpus: 3 }, { threads: 2 }, { threads: 2, calls: 2 }] as const) {
    test(`record0 closes it for landed with ${JSON.stringify(sizes)}`, () => {
      assert.deepEqual(violations({ host: 'record0', ...sizes }), []);
    });
  }
});

describe('before', () => {
  test('before under none gives a migrating thread a time that steps back', () => {
    assert.ok(violations({ reader: 'before', host: 'none', update: 'ahead', calls: 2 }).includes('backwards'));
  });

  test("before is torn under January 2015's writer, and under November 2014's", () => {
    for (const writer of ['2015', '2014'] as const)
      assert.ok(violations({ reader: 'before', writer }).includes('torn'));
  });

  test("before is not torn under today's writer", () => {
    assert.equal(violations({ reader: 'before', writer: 'today' }).includes('torn'), false);
  });
});

describe('the wall clock', () => {
  for (const changes of [
    { threads: 2 },
    { updaters: 2, memory: 'tso' },
    { updates: 2 },
    { early: 'any-order' },
  ] as const) {
    test(`its two words are of one writing: ${JSON.stringify(changes)}`, () => {
      const { violated: names, witnessed: seen } = verdictOf({ ...changes, update: 'wall-clock' });
      assert.deepEqual([names, seen], [[], ['retried', 'updated', 'stable']]);
    });
  }
});

describe('every model', () => {
  for (const update of ['unstable', 'ahead', 'behind', 'set-clock'] as const) {
    test(`in ${update} readers retry, updates happen, and every verdict is returned`, () => {
      const seen = verdictOf({ update, host: 'all' }).witnessed;
      assert.deepEqual(seen, ['retried', 'updated', 'stable', ...(update === 'unstable' ? ['unstable'] : [])]);
    });
  }
});
