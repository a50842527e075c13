import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { check } from '../../src/checker/check.ts';
import { parseReplay } from '../../src/checker/replay-string.ts';
import { type Configuration, DEFAULT_CONFIGURATION, scenarioOf } from '../../src/checker/scenarios.ts';
import { perform, type Step } from '../../src/checker/trace.ts';

const configurations: readonly Partial<Configuration>[] = [
  { reader: 'rfc' },
  { reader: 'rfc', memory: 'tso' },
  { reader: 'before', writer: '2015' },
  { reader: 'before', host: 'none', update: 'ahead', calls: 2 },
  { reader: 'cached', update: 'set-clock', calls: 2 },
  { reader: 'landed', threads: 2, calls: 1, kernel: 'fallback' },
  { reader: 'landed', early: 'any-order' },
  { reader: 'relaxed', early: 'late-tsc', ticks: 1, host: 'record0', calls: 2 },
];

function stepsOf(text: string): Step[] {
  const { configuration, schedule } = parseReplay(text);
  return perform(scenarioOf(configuration), schedule);
}

describe('perform()', () => {
  for (const changes of configurations) {
    test(`perform() ends every finding's schedule with what was found: ${JSON.stringify(changes)}`, () => {
      const { violated, witnessed } = check({ ...DEFAULT_CONFIGURATION, ...changes });
      for (const finding of [...violated, ...witnessed]) {
        const steps = stepsOf(finding.replay);
        assert.equal(steps.length, finding.steps);
        assert.ok(steps.at(-1)!.found.includes(finding.property), finding.property);
        const earlier = steps.slice(0, -1).flatMap(({ found }) => found);
        assert.equal(earlier.includes(finding.property), false, `${finding.property} is shown before the end`);
      }
    });
  }

  test('perform() tells the race in its own words', () => {
    const { violated } = check({ ...DEFAULT_CONFIGURATION, reader: 'rfc' });
    const steps = stepsOf(violated.find(({ property }) => property === 'stale-begin')!.replay);
    const said = steps.flatMap(({ actions }) => actions.map(({ who, what }) => `${who} ${what}`));
    const inOrder = [
      "vCPU 1's thread writes tscOffset of vCPU 1: 7",
      "vCPU 1's thread writes useMasterClock: 0",
      "vCPU 1's thread writes record 1 tscShift and flags: 1, not stable",
      "vCPU 1's thread enters the guest, told of update 1",
      'rfc on vCPU 1 reads record 0 flags: stable',
    ];
    const places = inOrder.map((sentence) => said.indexOf(sentence));
    assert.ok(!places.includes(-1), String(places));
    assert.deepEqual(
      places,
      [...places].sort((a, b) => a - b),
    );
    const { returned, records } = steps.at(-1)!;
    assert.deepEqual(
      { ns: returned?.ns, expected: returned?.expected, bit: returned?.bit, begunTold: returned?.begunTold },
      { ns: 117n, expected: 110n, bit: 0, begunTold: 1 },
    );
    assert.deepEqual(
      records.map(({ version, flags, update }) => ({ version, flags, update })),
      [
        { version: 2, flags: 1, update: 0 },
        { version: 4, flags: 0, update: 1 },
      ],
    );
  });

  test('perform() refuses a step that cannot be taken', () => {
    const { configuration, schedule } = parseReplay('rfc~kvm~today~unstable~sc~v2t1c1~aA');
    assert.throws(() => perform(scenarioOf(configuration), schedule), {
      name: 'RangeError',
      message: 'step 2 cannot be taken: the guest is blocked or done',
    });
  });
});
