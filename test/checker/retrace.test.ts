import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { check } from '../../src/checker/check.ts';
import { KIND } from '../../src/checker/operations.ts';
import { parseReplay } from '../../src/checker/replay-string.ts';
import { type Moment, type Place, retrace } from '../../src/checker/retrace.ts';
import { type Configuration, DEFAULT_CONFIGURATION, scenarioOf } from '../../src/checker/scenarios.ts';
import { perform, type Step } from '../../src/checker/trace.ts';

interface Traced {
  readonly configuration: Configuration;
  readonly steps: readonly Step[];
  readonly moments: readonly Moment[];
}

/** Every shortest trace to what a configuration shows, retraced. */
function tracesOf(changes: Partial<Configuration>): Traced[] {
  const { violated, witnessed } = check({ ...DEFAULT_CONFIGURATION, ...changes });
  return [...violated, ...witnessed].map(({ replay }) => {
    const { configuration, schedule } = parseReplay(replay);
    const scenario = scenarioOf(configuration);
    const steps = perform(scenario, schedule);
    return { configuration, steps, moments: retrace(scenario, steps) };
  });
}

const GUEST = path.join(import.meta.dirname, '../../src/guest');
const lineOf = ({ file, line }: Place) => readFileSync(path.join(GUEST, file), 'utf8').split('\n')[line - 1]!;

/** What the line of an operation must hold. */
const CALLS: Readonly<Record<number, RegExp>> = {
  [KIND.load]: /cpu\.load(8|32|64)\(|\bline\.\w+/,
  [KIND.store]: /\bline\.\w+ = /,
  [KIND.rdtsc]: /cpu\.rdtsc(p|Ordered)?\(\)/,
  [KIND.vcpu]: /cpu\.vcpu\(\)/,
};

const configurations: readonly Partial<Configuration>[] = [
  { reader: 'rfc' },
  { reader: 'before', writer: '2014', memory: 'tso' },
  { reader: 'landed', threads: 2 },
  { reader: 'cached', calls: 2, update: 'set-clock' },
  { reader: 'relaxed' },
  { reader: 'freebsd', update: 'ahead' },
];

describe('retrace()', () => {
  for (const changes of configurations) {
    test(`retrace() finds the line of every operation, and in the end what was returned: ${JSON.stringify(changes)}`, () => {
      for (const { configuration, steps, moments } of tracesOf(changes)) {
        const actions = steps.flatMap((step, index) =>
          step.actions.flatMap((action) =>
            action.actor.kind === 'guest' && action.operation !== undefined ? [{ index, ...action }] : [],
          ),
        );
        assert.deepEqual(
          moments.map(({ step, vcpu }) => [step, vcpu]),
          actions.map(({ index, vcpu }) => [index, vcpu]),
        );
        for (const [index, { places }] of moments.entries()) {
          const { operation, what } = actions[index]!;
          assert.equal(places.at(-1)?.file, `${configuration.reader}.ts`);
          assert.match(lineOf(places[0]!), CALLS[operation!.kind]!, what);
        }
        const { returned } = steps.at(-1)!;
        if (returned !== undefined) assert.equal(moments.at(-1)!.outlook, returned.ns ?? 'not stable');
      }
    });
  }

  test('retrace() names the very line of the race, and what the call would return from each of its operations on', () => {
    const race = tracesOf({ reader: 'landed' }).find(({ steps }) => steps.at(-1)!.found.includes('stale-begin'))!;
    const flags = race.moments.find(({ places }) => /PVTI\.flags/.test(lineOf(places[0]!)))!;
    assert.match(lineOf(flags.places[0]!), /\(cpu\.load8\(pvti \+ PVTI\.flags\) & PVCLOCK_TSC_STABLE_BIT\) === 0/);
    for (const { outlook, ownNs } of race.moments) assert.deepEqual([outlook, ownNs], [117n, 110n]);
  });

  test('retrace() says that a call will find no stable record, or has to wait, where that is so', () => {
    const outlooks = tracesOf({ reader: 'landed' }).flatMap(({ moments }) => moments.map(({ outlook }) => outlook));
    assert.ok(outlooks.includes('not stable'));
    assert.ok(outlooks.includes('goes round'));
  });

  test('retrace() looks at the records as they are at each step: others in their place are others in its outlook', () => {
    const traces = tracesOf({ reader: 'landed' });
    const { configuration, steps } = traces.find((trace) => trace.steps.at(-1)!.found.includes('stale-begin'))!;
    const late = steps.map((step) => ({
      ...step,
      records: step.records.map((record) => ({ ...record, systemTime: record.systemTime + 1000n })),
    }));
    const before = retrace(scenarioOf(configuration), steps)[0]!;
    const after = retrace(scenarioOf(configuration), late)[0]!;
    assert.equal(after.outlook, (before.outlook as bigint) + 1000n);
    assert.equal(after.ownNs, before.ownNs! + 1000n);
  });

  test('retrace() has no time by a record whose base is after the TSC that was read', () => {
    const { configuration, steps } = tracesOf({ reader: 'landed' })[0]!;
    const [own] = retrace(scenarioOf(configuration), steps);
    assert.equal(typeof own!.ownNs, 'bigint');
    const later = steps.map((step) => ({
      ...step,
      records: step.records.map((record) => ({ ...record, tscTimestamp: 1n << 40n })),
    }));
    for (const { ownNs } of retrace(scenarioOf(configuration), later)) assert.equal(ownNs, undefined);
  });
});
