import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { KernelClocks } from '../../src/machine/kernel-clocks.ts';
import { kernelClocks } from '../../src/machine/timekeeper.ts';
import { checkClocks, clockCosts, LOOPS } from '../../src/report/clocks.ts';
import { liveHere, sysHere } from '../machine/live-here.ts';
import { withGettime } from '../machine/scripted-gettime.ts';

/** A minute, where somebody has the time for it: KVMCLOCK_CLOCKS_SECONDS=60. */
const { KVMCLOCK_CLOCKS_SECONDS = '3' } = process.env;
const SECONDS = Number(KVMCLOCK_CLOCKS_SECONDS);

describe('checkClocks()', () => {
  test("checkClocks() finds no reading of the kernel's clocks beyond its bound, none behind another, and bounds below 1 us", async (t) => {
    const live = liveHere(t);
    if (live === undefined) return;
    const checks = await checkClocks(kernelClocks(live), live.sys, SECONDS);
    for (const { kernel, readings, outside, worstOutsideNs, stepsBack, boundNs } of checks) {
      t.diagnostic(
        `${kernel}: ${readings} readings, bound ${boundNs.median.toFixed(0)} ns, at most ${boundNs.max.toFixed(0)}`,
      );
      assert.deepEqual(
        { kernel, outside, worstOutsideNs, stepsBack },
        { kernel, outside: 0, worstOutsideNs: 0, stepsBack: 0 },
      );
      assert.ok(readings > 0 && boundNs.median < 1000, `${kernel}: bound ${boundNs.median}`);
    }
    assert.deepEqual(
      checks.map(({ kernel }) => kernel),
      ['CLOCK_REALTIME', 'CLOCK_MONOTONIC', 'CLOCK_BOOTTIME', 'CLOCK_MONOTONIC_RAW'],
    );
  });

  test('checkClocks() counts to the nanosecond what lies beyond the bound, behind the one before, and off the middle', async () => {
    let ns = 1_700_000_000_000_000_000n; // the kernel's, 100 ns on at each reading
    const sys = withGettime(sysHere(), () => (ns += 100n));
    const between = (offNs: bigint) => () => ns + 50n + offNs;
    let turn = 0;
    const clocks: KernelClocks = {
      realtime: between(180n),
      monotonic: between(-180n),
      boottime: between(150n),
      monotonicRaw: () => ns + 50n - (turn++ % 2 === 0 ? 0n : 300n),
      errorBoundNs: (name) => (name === 'monotonicRaw' ? 1000 : 100),
    };
    const flat = (value: number) => ({ min: value, median: value, max: value });
    for (const { name, kernel, readings, boundNs, ...counts } of await checkClocks(clocks, sys, 0.001)) {
      const wanted = {
        realtime: { outside: readings, worstOutsideNs: 30, stepsBack: 0, offNs: flat(180) },
        monotonic: { outside: readings, worstOutsideNs: 30, stepsBack: 0, offNs: flat(-180) },
        boottime: { outside: 0, worstOutsideNs: 0, stepsBack: 0, offNs: flat(150) },
        monotonicRaw: { outside: 0, worstOutsideNs: 0, stepsBack: 0, offNs: flat(-300) },
      }[name];
      assert.deepEqual(counts, wanted, kernel);
      assert.deepEqual(boundNs, flat(clocks.errorBoundNs(name)));
    }
  });

  test('checkClocks() catches a clock that is off, and one that steps back', async (t) => {
    const live = liveHere(t);
    if (live === undefined) return;
    const clocks = kernelClocks(live);
    let turn = 0n;
    const broken: KernelClocks = {
      ...clocks,
      realtime: () => clocks.realtime() + 1_000_000n,
      monotonic: () => clocks.monotonic() - (turn++ % 2n) * 100_000n,
      errorBoundNs: (name) => clocks.errorBoundNs(name) + (name === 'monotonic' ? 1e6 : 0),
    };
    const [realtime, monotonic, boottime] = await checkClocks(broken, live.sys, 0.01);
    assert.ok(realtime!.outside > 0 && realtime!.worstOutsideNs > 900_000 && realtime!.stepsBack === 0);
    assert.ok(monotonic!.stepsBack > 0 && monotonic!.outside === 0);
    assert.deepEqual([boottime!.outside, boottime!.stepsBack], [0, 0]);
  });
});

test('clockCosts() calls each clock as often as it says', () => {
  const called = { now: 0, realtime: 0, monotonic: 0, boottime: 0, monotonicRaw: 0 };
  const counted = (name: keyof typeof called) => () => BigInt(++called[name]);
  const clocks: KernelClocks = {
    realtime: counted('realtime'),
    monotonic: counted('monotonic'),
    boottime: counted('boottime'),
    monotonicRaw: counted('monotonicRaw'),
    errorBoundNs: () => 0,
  };
  let rounds = 0;
  clockCosts(clocks, counted('now'), 2, 50, () => rounds++);
  for (const [name, times] of Object.entries(called)) assert.equal(times, rounds * LOOPS * 50, name);
});

test('clockCosts() times each clock beside now()', (t) => {
  const live = liveHere(t);
  if (live === undefined) return;
  const costs = clockCosts(kernelClocks(live), live.image.kvmclock_now, 1, 1000);
  assert.deepEqual(
    costs.map(({ name }) => name),
    ['now', 'realtime', 'monotonic', 'boottime', 'monotonicRaw'],
  );
  assert.equal(costs[0]!.toNow, 1);
  for (const { ns, toNow } of costs) assert.ok(ns.median > 0 && toNow > 0);
});
