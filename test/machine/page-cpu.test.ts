import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadClock } from '../../src/machine/clock-image.ts';
import { pageCpu } from '../../src/machine/page-cpu.ts';
import { sysHere } from './live-here.ts';

test("pageCpu()'s rdtscp() reads once more when the thread was moved meanwhile: TSC and vCPU are of one processor", () => {
  const clock = loadClock(sysHere());
  const [vcpus, tscs] = [
    [0, 1, 1, 1],
    [10n, 20n],
  ];
  const image = {
    ...clock,
    kvmclock_vcpu: Object.assign(() => vcpus.shift()!, { pointer: clock.kvmclock_vcpu.pointer }),
    kvmclock_rdtscp: Object.assign(() => tscs.shift()!, { pointer: clock.kvmclock_rdtscp.pointer }),
  };
  assert.deepEqual(pageCpu(new ArrayBuffer(64), image).rdtscp(), { tsc: 20n, vcpu: 1 });
});
