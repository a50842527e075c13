import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { check } from '../../src/checker/check.ts';
import { parseReplay } from '../../src/checker/replay-string.ts';
import { type Configuration, DEFAULT_CONFIGURATION, scenarioOf } from '../../src/checker/scenarios.ts';
import { perform, type Step } from '../../src/checker/trace.ts';
import { buffersBehind } from '../../web/race/buffers.ts';

/** Every execution that the checker finds with x86's store buffers in this configuration. */
function found(reader: Configuration['reader'], writer: Configuration['writer']): (readonly Step[])[] {
  const configuration: Configuration = { ...DEFAULT_CONFIGURATION, reader, writer, memory: 'tso' };
  const { violated, witnessed } = check(configuration);
  return [...violated, ...witnessed].map(({ replay }) =>
    perform(scenarioOf(configuration), parseReplay(replay).schedule),
  );
}

/** The same operations, one a step. */
const oneByOne = (steps: readonly Step[]): Step[] =>
  steps.flatMap((step) => step.actions.map((action) => ({ ...step, actions: [action] })));

const EXECUTIONS = [...found('rfc', 'today'), ...found('landed', '2015')];

describe('buffersBehind()', () => {
  test('what reaches memory is what waited longest in that buffer, and is gone from it then', () => {
    let drained = 0;
    for (const steps of EXECUTIONS.map(oneByOne)) {
      const behind = buffersBehind(steps, true);
      for (const [index, { actions }] of steps.entries()) {
        const [, place] = /^(.*) = .* reaches memory$/.exec(actions[0]!.what) ?? [];
        if (place === undefined) continue;
        const thread = actions[0]!.who.replace("'s store buffer", '');
        const [oldest, ...others] = behind[index - 1]!.get(thread)!;
        assert.ok(oldest!.startsWith(`${place} = `), `${oldest}: ${place}`);
        assert.deepEqual(behind[index]!.get(thread), others);
        drained++;
      }
    }
    assert.ok(drained > 100, `${drained}`);
  });

  test('what a thread of the host writes waits in its buffer, behind what waited there', () => {
    let stored = 0;
    for (const steps of EXECUTIONS.map(oneByOne)) {
      const behind = buffersBehind(steps, true);
      for (const [index, { actions }] of steps.entries()) {
        const [{ who, what }] = actions as [Step['actions'][number]];
        if (!/^writes record/.test(what)) continue;
        const waiting = behind[index]!.get(who)!;
        assert.deepEqual(waiting.slice(0, -1), behind[index - 1]?.get(who) ?? []);
        assert.equal(`writes ${waiting.at(-1)!.replace(' = ', ': ')}`, what);
        stored++;
      }
    }
    assert.ok(stored > 100, `${stored}`);
  });

  test('behind a step is what waits behind the last of its operations, and nothing where stores do not wait', () => {
    for (const steps of EXECUTIONS) {
      const each = buffersBehind(oneByOne(steps), true);
      let done = 0;
      for (const [index, buffers] of buffersBehind(steps, true).entries()) {
        done += steps[index]!.actions.length;
        assert.deepEqual(buffers, each[done - 1]);
      }
      for (const buffers of buffersBehind(steps, false)) assert.equal(buffers.size, 0);
    }
  });
});
