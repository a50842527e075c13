import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openClock } from '../../src/machine/clock.ts';
import { benchJavaScript, tellingCosts } from '../../src/report/bench.ts';

const EFFORT = { rounds: 3, warmUp: 1, calls: 200 };
const CALLS = (EFFORT.rounds + EFFORT.warmUp) * EFFORT.calls;

test('benchJavaScript() calls the clock, and what Node has, as often as it says', (t) => {
  const called = new Map<string, number>();
  const counted = <T>(name: string, value: T) => {
    called.set(name, 0);
    return (): T => {
      called.set(name, called.get(name)! + 1);
      return value;
    };
  };
  const clock = {
    ...openClock(),
    now: counted('now', 1n),
    nowNs: counted('nowNs', 1),
    nowRelaxedNs: counted('nowRelaxedNs', 1),
  };
  let hrtimes = 0n;
  t.mock.method(process.hrtime, 'bigint', () => ++hrtimes);
  t.mock.method(process, 'hrtime', counted('hrtime', [1, 1] as [number, number]));
  t.mock.method(performance, 'now', counted('performance.now', 1));
  t.mock.method(Date, 'now', counted('Date.now', 1));
  const costs = benchJavaScript(clock, EFFORT);
  for (const [name, times] of called) assert.equal(times, CALLS, name);
  const aboutLoops = 2 * costs.length * (EFFORT.rounds + EFFORT.warmUp);
  assert.equal(Number(hrtimes), 2 * CALLS + aboutLoops);
});

test('tellingCosts() leaves out the readers that turn back at the flag where the records are not stable', () => {
  const ns = { min: 1, median: 1, max: 1 };
  const costs = ['before', 'relaxed', 'lfence-rdtsc', 'vdso-clock-gettime'].map((name) => ({ name, ns, toFloor: 1 }));
  assert.deepEqual(tellingCosts(costs, true), costs);
  assert.deepEqual(tellingCosts(costs, false), costs.slice(2));
});
