import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { type Clock, openClock } from '../../src/machine/clock.ts';
import { endWorker } from '../../src/machine/worker-thread.ts';
import { liveHere } from './live-here.ts';
import { scriptedGettime } from './scripted-gettime.ts';

const CHILD = path.join(import.meta.dirname, 'children/clock.ts');

interface ChildClock {
  source: string;
  reason: string;
  advanced: boolean;
  /** The kernel's clocks advance and say how far they may be off. */
  clocks: boolean;
  now: string;
}

function childClock(flags: readonly string[], ...args: string[]): ChildClock {
  const output = execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', ...flags, CHILD, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return JSON.parse(output) as ChildClock;
}

const fromHrTime = ([seconds, nanos]: [number, number]): bigint => BigInt(seconds) * 1_000_000_000n + BigInt(nanos);

test('openClock() reads the record when there is one, in order and inside readings by the kernel', (t) => {
  if (liveHere(t) === undefined) return;
  const clock = openClock();
  assert.equal(clock.source, 'pvclock');
  let last = clock.now();
  for (let i = 0; i < 100_000; i++) {
    const now = clock.now();
    assert.ok(now >= last);
    last = now;
  }
  assert.equal(typeof clock.record()?.version, 'number');
  const before = clock.now();
  const asDouble = clock.nowNs();
  assert.ok(asDouble >= Number(before) && asDouble <= Number(clock.now()));
});

test('openClock() gives a working clock and says why when the page of records cannot be read', (t) => {
  if (liveHere(t) === undefined) return;
  for (const action of ['protect', 'unmap']) {
    const { source, reason, advanced, clocks } = childClock([], action);
    assert.deepEqual({ action, source, advanced, clocks }, { action, source: 'hrtime', advanced: true, clocks: true });
    assert.match(reason, action === 'protect' ? /cannot be read/ : /maps no page of records/);
  }
});

test('openClock() gives a working clock and says why when --permission denies ffi or the file system', () => {
  const denied = childClock(['--permission', '--allow-fs-read=*']);
  assert.deepEqual([denied.source, denied.advanced, denied.clocks], ['hrtime', true, true]);
  assert.match(denied.reason, /--allow-ffi/);
  const source = path.join(import.meta.dirname, '../..');
  const blind = childClock(['--permission', '--allow-ffi', `--allow-fs-read=${source}`]);
  assert.deepEqual([blind.source, blind.advanced], ['hrtime', true]);
  assert.match(blind.reason, /proc.self.maps/);
});

test('openClock() gives a working clock and says why when this Node was told to have no ffi', () => {
  const without = childClock(['--no-experimental-ffi']);
  assert.deepEqual([without.source, without.advanced, without.clocks], ['hrtime', true, true]);
  assert.match(without.reason, /no node:ffi/);
});

test('now() reads the same in two processes: the child lies between two readings of its parent', (t) => {
  if (liveHere(t) === undefined) return;
  const clock = openClock();
  const before = clock.now();
  const between = BigInt(childClock([]).now);
  assert.ok(before < between && between < clock.now());
});

test('now() reads the same in Workers: a reading passed from thread to thread never goes back', async (t) => {
  if (liveHere(t) === undefined) return;
  const clock = openClock();
  const workers = [0, 1].map(
    () => new Worker(new URL('./children/reader-worker.ts', import.meta.url), { execArgv: ['--no-warnings'] }),
  );
  try {
    let last = clock.now();
    for (let i = 0; i < 200; i++) {
      const worker = workers[i % 2]!;
      worker.postMessage(null);
      const [{ source, now }] = (await once(worker, 'message')) as [{ source: string; now: bigint }];
      assert.equal(source, 'pvclock');
      assert.ok(now > last, `${now} after ${last}`);
      last = clock.now();
      assert.ok(last > now);
    }
  } finally {
    await Promise.all(workers.map((worker) => endWorker(worker, 1000)));
  }
});

test('epochNow() and hrTime() begin at the time of day', () => {
  for (const read of [(clock: Clock) => clock.epochNow(), (clock: Clock) => fromHrTime(clock.hrTime())]) {
    const clock = openClock();
    const before = BigInt(Date.now() - 1) * 1_000_000n;
    const ns = read(clock);
    assert.ok(before <= ns && ns <= BigInt(Date.now() + 2) * 1_000_000n, `${before} ${ns}`);
  }
});

test('epochNow() and hrTime() of one clock never step back, though the wall clock is set back by an hour', (t) => {
  const live = liveHere(t);
  if (live === undefined) return;
  const { sys } = live;
  const clock = openClock();
  const before = clock.epochNow();
  t.mock.method(
    sys.libc,
    'clock_gettime',
    scriptedGettime(sys, () => before - 3_600_000_000_000n),
  );
  const between = clock.hrTime();
  const after = clock.epochNow();
  assert.ok(before <= fromHrTime(between) && fromHrTime(between) <= after);
});

test('openClock() refuses a bad option in one line', () => {
  for (const watchEveryMs of [0, -1, Number.NaN, 2 ** 31, '1' as unknown as number]) {
    assert.throws(() => openClock({ watchEveryMs }), {
      name: 'RangeError',
      message: /^openClock: watchEveryMs must be/,
    });
  }
});

test('onChange() holds no process alive and can be ended', (t) => {
  if (liveHere(t) === undefined) return;
  const stop = openClock({ watchEveryMs: 10 }).onChange(() => {});
  stop();
  stop();
});
