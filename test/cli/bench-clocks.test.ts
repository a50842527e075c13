import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { benchClocks } from '../../src/cli/bench-clocks.ts';
import { attach, type LiveMachine } from '../../src/machine/live.ts';
import { isUnavailable, type Unavailable } from '../../src/machine/sys.ts';
import type { ClockCheck } from '../../src/report/clocks.ts';
import { liveHere } from '../machine/live-here.ts';
import { captured } from './captured.ts';

/** What `kvmclock bench --clocks` does and prints on such a machine, in a second and a round. */
async function benched(live: LiveMachine | Unavailable, json: boolean) {
  const texts = { stdout: '', stderr: '' };
  const output = (stream: 'stdout' | 'stderr') => ({
    isTerminal: false,
    colour: false,
    write: (text: string) => {
      texts[stream] += text;
    },
  });
  const io = { stdout: output('stdout'), stderr: output('stderr') };
  const status = await benchClocks(live, 1, 1, json, io);
  return { status, ...texts };
}

type Read = LiveMachine['image']['kvmclock_realtime'];
const inPlaceOf = ({ pointer }: Read, read: () => bigint): Read => Object.assign(read, { pointer });

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

  test('exits with 1 where a reading is beyond its bound, or behind the one before', async (t) => {
    const live = liveHere(t);
    if (live === undefined) return;
    let turn = 0n;
    const breakings: ((image: LiveMachine['image']) => Partial<LiveMachine['image']>)[] = [
      ({ kvmclock_realtime: read }) => ({ kvmclock_realtime: inPlaceOf(read, () => read() + 1_000_000n) }),
      ({ kvmclock_monotonic: read }) => ({
        kvmclock_monotonic: inPlaceOf(read, () => read() - (turn++ % 2n) * 100_000n),
      }),
    ];
    for (const broken of breakings) {
      const own = attach(live.sys, live.address, 'an image of its own');
      assert.ok(!isUnavailable(own));
      const { status, stdout } = await benched({ ...own, image: { ...own.image, ...broken(own.image) } }, true);
      const clocks: ClockCheck[] = JSON.parse(stdout).clocks;
      const wrong = clocks.flatMap(({ name, outside, stepsBack }) => (outside + stepsBack > 0 ? [name] : []));
      assert.deepEqual({ status, wrong }, { status: 1, wrong: [broken === breakings[0] ? 'realtime' : 'monotonic'] });
    }
  });

  test('says why where there is no record, and exits with 2', async () => {
    const none = { unavailable: 'there is none' };
    const text = 'no record to read here: there is none\n';
    assert.deepEqual(await benched(none, false), { status: 2, stdout: text, stderr: '' });
    const { status, stdout } = await benched(none, true);
    assert.equal(status, 2);
    assert.deepEqual(JSON.parse(stdout), { machine: null, why: 'there is none', clocks: [], costs: [] });
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
