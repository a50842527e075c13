import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { beginDrift, driftBetween, type Pairing, pairings } from '../../src/report/drift.ts';
import { liveHere, sysHere } from '../machine/live-here.ts';
import { withGettime } from '../machine/scripted-gettime.ts';

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

test('pairings() takes the narrowest of its readings, at its middle, for each of the kernel clocks', () => {
  let [ns, turn] = [1_700_000_000_123_456_789n, 0];
  const widths = [400n, 60n, 200n];
  // Our clock is 1 000 ns ahead; half of a width passes on either side of the kernel's reading.
  const now = () => {
    ns += turn++ % 2 === 0 ? 10_000n : widths[(turn >> 1) % 3]! / 2n;
    return ns + 1_000n;
  };
  const sys = withGettime(sysHere(), () => (ns += widths[((turn + 1) >> 1) % 3]! / 2n));
  const pairs = pairings(now, sys);
  assert.deepEqual(
    pairs.map(({ against }) => against),
    ['CLOCK_MONOTONIC_RAW', 'CLOCK_MONOTONIC'],
  );
  for (const { clockNs, kernelNs, widthNs } of pairs) assert.deepEqual([clockNs - kernelNs, widthNs], [1_000n, 60n]);
});

test('driftBetween() gives what the clock gained, by how much that may be off, and where the clock stands', () => {
  const at = (kernelNs: bigint, aheadNs: bigint, widthNs: bigint): Pairing => ({
    against: 'CLOCK_MONOTONIC',
    clockNs: kernelNs + aheadNs,
    kernelNs,
    widthNs,
  });
  assert.deepEqual(driftBetween(at(5_000_000_000n, 700n, 60n), at(7_000_000_000n, -300n, 100n)), {
    against: 'CLOCK_MONOTONIC',
    ppm: -0.5,
    uncertaintyPpm: 0.04,
    offsetNs: -300,
  });
});
