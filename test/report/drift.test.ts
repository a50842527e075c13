import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { beginDrift } from '../../src/report/drift.ts';
import { liveHere, sysHere } from '../machine/live-here.ts';

test('beginDrift() finds a clock that runs a tenth too fast, to within what it says it is sure of', async () => {
  const start = process.hrtime.bigint();
  const fast = () => {
    const elapsed = process.hrtime.bigint() - start;
    return start + elapsed + elapsed / 10n;
  };
  const end = beginDrift(fast, sysHere());
  await setTimeout(50);
  for (const { ppm, uncertaintyPpm } of end())
    assert.ok(Math.abs(ppm - 100_000) <= uncertaintyPpm * 1.2 + 600, `${ppm}`);
});

test('beginDrift() finds the live clock at the rate of CLOCK_MONOTONIC_RAW, within 100 ppm and its uncertainty', async (t) => {
  const live = liveHere(t);
  if (live === undefined) return;
  const end = beginDrift(live.image.kvmclock_now, live.sys);
  await setTimeout(200);
  const [raw] = end();
  assert.equal(raw?.against, 'CLOCK_MONOTONIC_RAW');
  assert.ok(Math.abs(raw.ppm) <= 100 + raw.uncertaintyPpm, `${raw.ppm} +- ${raw.uncertaintyPpm}`);
});
