import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatReplay, parseReplay } from '../../src/checker/replay-string.ts';
import { HOSTS, KERNELS, MEMORIES, UPDATES, WRITERS } from '../../src/checker/scenarios.ts';
import type { Actor } from '../../src/checker/schedule.ts';
import { READERS, type ReaderName } from '../../src/guest/readers.ts';

const VCPUS = 3;
const digit = fc.integer({ min: 1, max: 9 });

const actor: fc.Arbitrary<Actor> = fc.oneof(
  fc.integer({ min: 0, max: VCPUS - 1 }).map((vcpu): Actor => ({ kind: 'host', vcpu })),
  fc.integer({ min: 0, max: 3 }).map((index): Actor => ({ kind: 'other', index })),
  fc.integer({ min: 0, max: 6 }).map((processor): Actor => ({ kind: 'buffer', processor })),
  fc
    .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: VCPUS - 1 }))
    .map(([guest, vcpu]): Actor => ({ kind: 'guest', guest, vcpu })),
  fc.constantFrom<Actor>({ kind: 'time' }, { kind: 'once' }),
);

const turn = fc.record(
  { actor, count: fc.integer({ min: 1, max: 99 }), choice: fc.integer({ min: -1, max: 12 }) },
  { noNullPrototype: true },
);

const replay = fc.record({
  configuration: fc
    .record({
      reader: fc.constantFrom(...(Object.keys(READERS) as ReaderName[])),
      host: fc.constantFrom(...HOSTS),
      writer: fc.constantFrom(...WRITERS),
      update: fc.constantFrom(...UPDATES),
      memory: fc.constantFrom(...MEMORIES),
      vcpus: fc.constant(VCPUS),
      threads: digit,
      calls: digit,
      updaters: fc.integer({ min: 0, max: 9 }),
      updates: digit,
      ticks: fc.integer({ min: 0, max: 9 }),
      kernel: fc.constantFrom(...KERNELS),
      early: fc.constantFrom(undefined, 'any-order' as const, 'late-tsc' as const),
      mutation: fc.constantFrom(undefined, 'gate.no-fence'),
    })
    .map(({ early, mutation, ...rest }) => ({
      ...rest,
      ...(early === undefined ? {} : { early }),
      ...(mutation === undefined ? {} : { mutation }),
    })),
  schedule: fc.array(fc.array(turn, { minLength: 1, maxLength: 3 })),
});

describe('parseReplay()', () => {
  test('parseReplay() gives back what formatReplay() was given, and the text needs no escape in a URL', () => {
    fc.assert(
      fc.property(replay, (given) => {
        const text = formatReplay(given);
        assert.equal(encodeURIComponent(text), text);
        assert.deepEqual(parseReplay(text), { ...given });
      }),
    );
  });

  const refused: readonly (readonly [string, string])[] = [
    ['', 'it has 1 parts between "~", not 7'],
    [
      'nobody~kvm~today~unstable~sc~v2t1c1~a',
      'no reader is called "nobody"; there are before, rfc, landed, cached, relaxed, freebsd',
    ],
    ['rfc~kvm~today~unstable~sc~v2t1c1~a~gate.no-fence~b', 'it has 9 parts between "~", not 7'],
    ['rfc~kvm~today~unstable~sc~v2~a', 'its sizes are "v2", not like v2t1c1'],
    ['rfc~kvm~today~unstable~sc~v2t1c1~a5!b', 'no step begins with "!b"'],
    ['rfc~kvm~today~unstable~sc~v2t1c1~a999999999999', 'it has more than 20000 operations'],
    ['rfc~kvm~today~unstable~sc~v2t1c1~a10000*b10000a', 'it has more than 20000 operations'],
    [`rfc~kvm~today~unstable~sc~v2t1c1~a${'9'.repeat(400)}`, 'it has more than 20000 operations'],
  ];
  for (const [text, message] of refused) {
    test(`parseReplay() refuses ${JSON.stringify(text.slice(0, 80))}`, () =>
      assert.throws(() => parseReplay(text), { name: 'RangeError', message }));
  }
});
