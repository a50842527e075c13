import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { check } from '../../src/checker/check.ts';
import type { PropertyName } from '../../src/checker/properties.ts';
import { type Configuration, DEFAULT_CONFIGURATION } from '../../src/checker/scenarios.ts';

const LATE: Configuration = { ...DEFAULT_CONFIGURATION, early: 'late-tsc' };

/** What is violated only where loads may be done around the TSC read. */
function moreThanInTurn(changes: Partial<Configuration>): PropertyName[] {
  const { early, ...inTurn } = { ...LATE, ...changes };
  const [late, plain] = [check({ ...inTurn, early: early! }), check(inTurn)];
  assert.ok(late.complete && plain.complete);
  const known = plain.violated.map(({ property }) => property);
  return late.violated.map(({ property }) => property).filter((property) => !known.includes(property));
}

describe('loads done early around the TSC read, as x86 may', () => {
  for (const reader of ['before', 'landed', 'cached', 'relaxed', 'freebsd'] as const) {
    for (const host of ['kvm', 'record0'] as const) {
      test(`they do nothing to one thread's ${reader} under ${host}`, () => {
        assert.deepEqual(moreThanInTurn({ reader, host }), []);
      });
    }
  }

  test('a record rewritten while relaxed reads it is not torn: the loads keep their order', () => {
    assert.deepEqual(moreThanInTurn({ reader: 'relaxed', host: 'kvm', update: 'ahead' }), []);
  });

  test('between two threads time steps back by relaxed', () => {
    const two = { ...LATE, reader: 'relaxed', host: 'all', update: 'ahead', ticks: 1, threads: 2 } as const;
    const { violated } = check(two, { enough: (_states, found) => found.includes('backwards') });
    assert.ok(violated.some(({ property }) => property === 'backwards'));
  });

  test('not where both run on one vCPU: one thread after the other is an interrupt', () => {
    const one = { reader: 'relaxed', host: 'all', update: 'ahead', ticks: 1, threads: 2, vcpus: 1 } as const;
    assert.deepEqual(moreThanInTurn(one), []);
  });
});
