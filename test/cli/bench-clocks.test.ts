import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { benchClocks } from '../../src/cli/bench-clocks.ts';
import { liveHere } from '../machine/live-here.ts';
import { captured } from './captured.ts';

describe('kvmclock bench --clocks', () => {
  test("--json prints the kernel's clocks held to the kernel, and what each costs", async (t) => {
    if (liveHere(t) === undefined) return;
    const { status, stdout, stderr } = await captured([
      'bench',
      '--clocks',
      '--seconds',
      '1',
      '--rounds',
      '1',
      '--json',
    ]);
    assert.deepEqual([status, stderr], [0, '']);
    const { machine, seconds, clocks, costs } = JSON.parse(stdout);
    assert.deepEqual([machine, seconds, clocks.length, costs.length], ['live', 1, 4, 5]);
    for (const { outside, stepsBack, boundNs } of clocks) {
      assert.deepEqual([outside, stepsBack, Object.keys(boundNs)], [0, 0, ['min', 'median', 'max']]);
    }
  });

  test('prints the same for people', async (t) => {
    if (liveHere(t) === undefined) return;
    const { status, stdout } = await captured(['bench', '--clocks', '--seconds', '1', '--rounds', '1']);
    assert.equal(status, 0);
    for (const name of ['REALTIME', 'MONOTONIC', 'BOOTTIME', 'MONOTONIC_RAW']) {
      assert.match(stdout, new RegExp(`\n +CLOCK_${name} +[0-9 ]+ +0 +0 `));
    }
    assert.match(stdout, /\n +realtime +[0-9.]+ .* x\n/);
  });

  test('says why where there is no record, and exits with 2', async () => {
    const texts = { stdout: '', stderr: '' };
    const output = (stream: 'stdout' | 'stderr') => ({
      isTerminal: false,
      colour: false,
      write: (text: string) => {
        texts[stream] += text;
      },
    });
    const io = { stdout: output('stdout'), stderr: output('stderr') };
    assert.equal(await benchClocks({ unavailable: 'there is none' }, 1, 1, false, io), 2);
    assert.deepEqual(texts, { stdout: 'no record to read here: there is none\n', stderr: '' });
    texts.stdout = '';
    assert.equal(await benchClocks({ unavailable: 'there is none' }, 1, 1, true, io), 2);
    assert.deepEqual(JSON.parse(texts.stdout), { machine: null, why: 'there is none', clocks: [], costs: [] });
  });

  test('refuses options that do not go together, in one line', async () => {
    for (const [argv, message] of [
      [['--clocks', '--machine', 'simulated'], /^kvmclock bench: --clocks is for --machine live: /],
      [['--seconds', '3'], /^kvmclock bench: --seconds is for --clocks, which is not given\n$/],
      [['--clocks', '--seconds', '0'], /^kvmclock bench: --seconds /],
    ] as const) {
      const { status, stdout, stderr } = await captured(['bench', ...argv]);
      assert.deepEqual([status, stdout], [2, '']);
      assert.match(stderr, message);
    }
  });
});
