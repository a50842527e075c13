import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME } from '../../src/abi/clock-id.ts';
import { openClock } from '../../src/machine/clock.ts';
import type { ClockName, KernelClocks } from '../../src/machine/kernel-clocks.ts';
import { dateReading, nodeClocks } from '../../src/machine/node-clocks.ts';
import { sysHere } from './live-here.ts';

const IDS = { realtime: CLOCK_REALTIME, monotonic: CLOCK_MONOTONIC, boottime: CLOCK_BOOTTIME } as const;

/** Readings over some milliseconds that lie outside their bound, or behind the one before. */
function faults(read: () => bigint, bound: () => number, kernel: () => bigint): string[] {
  const found: string[] = [];
  let last = read();
  for (let i = 0; i < 3000; i++) {
    const before = kernel();
    const ns = read();
    const after = kernel();
    const most = BigInt(Math.ceil(bound()));
    if (ns < before - most || ns > after + most) found.push(`${before} - ${most}, ${ns}, ${after} + ${most}`);
    if (ns < last) found.push(`${ns} after ${last}`);
    last = ns;
  }
  return found;
}

function kernelOf(name: keyof typeof IDS): () => bigint {
  const sys = sysHere();
  const time = new BigInt64Array(2);
  const address = sys.ffi.getRawPointer(time);
  return () => {
    sys.libc.clock_gettime(IDS[name], address);
    return time[0]! * 1_000_000_000n + time[1]!;
  };
}

for (const name of Object.keys(IDS) as (keyof typeof IDS)[]) {
  test(`nodeClocks().${name}() lies within its bound of the kernel's clock and never steps back`, () => {
    const clocks = nodeClocks(process.hrtime.bigint);
    assert.deepEqual(
      faults(clocks[name], () => clocks.errorBoundNs(name), kernelOf(name)),
      [],
    );
  });
}

test('nodeClocks().boottime() does so at whatever moment between two steps of uptime() it begins', () => {
  const kernel = kernelOf('boottime');
  for (let i = 0; i < 60; i++) {
    const { boottime, errorBoundNs } = nodeClocks(process.hrtime.bigint);
    const before = kernel();
    const ns = boottime();
    const after = kernel();
    const most = BigInt(Math.ceil(errorBoundNs('boottime')));
    assert.ok(ns >= before - most && ns <= after + most, `${before} - ${most}, ${ns}, ${after} + ${most}`);
    while (kernel() - before < 1_300_000n);
  }
});

test('dateReading() is the middle of the millisecond that Date.now() names', (t) => {
  t.mock.method(Date, 'now', () => 1_700_000_000_123);
  assert.deepEqual(dateReading(), { ns: 1_700_000_000_123_500_000n, errorNs: 1_000_000n });
});

test('that check catches a clock that is off by more than its bound, and one that steps back', () => {
  const kernel = kernelOf('monotonic');
  const ahead = () => kernel() + 1_000_000n;
  assert.ok(faults(ahead, () => 0, kernel).length > 0);
  let turn = 0n;
  assert.ok(
    faults(
      () => kernel() - 100n * (turn++ % 2n) * 1000n,
      () => 1e9,
      kernel,
    ).length > 0,
  );
});

test('errorBoundNs() says what each is worth: nothing is known of CLOCK_MONOTONIC_RAW', () => {
  const clocks = nodeClocks(process.hrtime.bigint);
  const bounds = (['realtime', 'monotonic', 'boottime', 'monotonicRaw'] satisfies ClockName[]).map((name) => {
    clocks[name]();
    return clocks.errorBoundNs(name);
  });
  const [realtime, monotonic, boottime, raw] = bounds as [number, number, number, number];
  assert.ok(realtime >= 1e6 && boottime >= 10e6 && boottime < 1e9);
  assert.deepEqual([monotonic, raw], [0, Number.POSITIVE_INFINITY]);
});

test('errorBoundNs() refuses what is no clock of these, in one line, wherever the clocks come from', () => {
  const clocks: Pick<KernelClocks, 'errorBoundNs'>[] = [nodeClocks(process.hrtime.bigint), openClock()];
  for (const { errorBoundNs } of clocks) {
    for (const [name, said] of [
      ['tai', '"tai"'],
      ['constructor', '"constructor"'],
      [undefined, 'undefined'],
    ] as const) {
      assert.throws(() => errorBoundNs(name as ClockName), {
        name: 'RangeError',
        message: `errorBoundNs: there is realtime, monotonic, boottime, monotonicRaw, got ${said}`,
      });
    }
  }
});
