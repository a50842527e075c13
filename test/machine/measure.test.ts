import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { PVTI } from '../../src/abi/pvti.ts';
import { allowedCpus, pinTo } from '../../src/machine/affinity.ts';
import { type Callee, openMeter, type WarpCount } from '../../src/machine/measure.ts';
import { EXPECTED, READY, SHARED_BYTES, type WarpTask } from '../../src/machine/warp-task.ts';
import { countWarps } from '../../src/machine/warps.ts';
import { startWorker } from '../../src/machine/worker-thread.ts';
import { liveHere, sysHere } from './live-here.ts';

test('warps() counts none on the live record, and every reading when the shared word is ahead of the clock', (t) => {
  const live = liveHere(t);
  if (live === undefined) return;
  const meter = openMeter(live);
  const callee: Callee = { address: live.image.kvmclock_read_landed.pointer, first: live.address };
  const latest = new BigUint64Array(1);
  const shared = live.sys.ffi.getRawPointer(latest);
  assert.deepEqual(
    { ...meter.warps(callee, 10_000, shared), stalls: 0 },
    { reads: 10_000, warps: 0, worstNs: 0, stalls: 0 },
  );
  latest[0] = live.image.kvmclock_now() + 3_600_000_000_000n;
  const ahead = meter.warps(callee, 1000, shared);
  assert.deepEqual([ahead.reads, ahead.warps], [1000, 1000]);
  assert.ok(ahead.worstNs > 3_599_000_000_000 && ahead.worstNs <= 3_600_000_000_000);
});

test('warps() ends at once when the record is not stable', (t) => {
  const live = liveHere(t);
  if (live === undefined) return;
  const meter = openMeter(live);
  const copy = new Uint8Array(64);
  copy.set(new Uint8Array(live.sys.view(live.address, 32)));
  copy[PVTI.flags] = 0;
  const callee = { address: live.image.kvmclock_read_landed.pointer, first: live.sys.ffi.getRawPointer(copy) };
  const shared = live.sys.ffi.getRawPointer(new BigUint64Array(1));
  assert.equal(meter.warps(callee, 1000, shared).reads, 0);
});

test('outsideBracket() finds none for the fenced readers, and all for a reader of another line', (t) => {
  const live = liveHere(t);
  if (live === undefined) return;
  const meter = openMeter(live);
  const { image, address, sys } = live;
  const landed = image.kvmclock_read_landed.pointer;
  for (const reader of [image.kvmclock_read_before, image.kvmclock_read_rfc, image.kvmclock_read_landed]) {
    const { outside } = meter.outsideBracket({ address: reader.pointer, first: address }, landed, 50_000);
    assert.equal(outside, 0);
  }
  const copy = new Uint8Array(64);
  copy.set(new Uint8Array(sys.view(address, 32)));
  new DataView(copy.buffer).setBigUint64(PVTI.systemTime, live.record(0).systemTime + 1_000_000_000n, true);
  const shifted = meter.outsideBracket(
    { address: image.kvmclock_at.pointer, first: sys.ffi.getRawPointer(copy), second: 0n },
    landed,
    100,
  );
  assert.equal(shifted.outside, 100);
});

test('timeNs() of a call is above 0, and of a system call above that of the bare TSC', (t) => {
  const live = liveHere(t);
  if (live === undefined) return;
  const meter = openMeter(live);
  const tsc = meter.timeNs({ address: live.image.kvmclock_rdtsc.pointer }, 20_000);
  assert.ok(tsc > 0 && tsc < meter.timeNs(meter.syscallClockGettime, 20_000));
});

test('timeNs() is what hrtime says that the same calls take, less what it takes to begin', (t) => {
  const live = liveHere(t);
  if (live === undefined) return;
  const { timeNs, syscallClockGettime } = openMeter(live);
  const calls = 50_000;
  let best = 0; // of several: the thread may be held up before the loop or behind it
  for (let i = 0; i < 20; i++) {
    const start = process.hrtime.bigint();
    const ns = timeNs(syscallClockGettime, calls);
    const share = (ns * calls) / Number(process.hrtime.bigint() - start);
    assert.ok(share < 1.01, `${share}`);
    best = Math.max(best, share);
  }
  assert.ok(best > 0.9, `${best}`);
});

test('countWarps() reads on all vCPUs at once and counts what was asked for', async (t) => {
  if (liveHere(t) === undefined) return;
  const { reads, warps } = await countWarps(allowedCpus(sysHere()), 200_000);
  assert.deepEqual({ reads, warps }, { reads: 200_000, warps: 0 });
});

test('a thread of countWarps() begins to read when all are there', async (t) => {
  if (liveHere(t) === undefined) return;
  const shared = new SharedArrayBuffer(SHARED_BYTES);
  const words = new Int32Array(shared);
  words[EXPECTED] = 2;
  const workerData: WarpTask = { shared, cpu: allowedCpus(sysHere())[0]!, count: 1000 };
  const worker = startWorker('warp-worker', new URL('../../src/machine/warps.ts', import.meta.url).href, {
    workerData,
  });
  const counted = once(worker, 'message');
  while (Atomics.load(words, READY) === 0) await setTimeout(1);
  assert.equal(await Promise.race([counted, setTimeout(100, 'none yet')]), 'none yet');
  Atomics.add(words, READY, 1);
  const [{ reads }] = (await counted) as [WarpCount];
  assert.equal(reads, 1000);
});

test('countWarps() rejects when a thread cannot run where it should', async (t) => {
  if (liveHere(t) === undefined) return;
  await assert.rejects(countWarps([0, 8191], 1000), /sched_setaffinity to CPU 8191: EINVAL/);
});

test('pinTo() moves this thread, and allowedCpus() says so', () => {
  const sys = sysHere();
  const all = allowedCpus(sys);
  try {
    pinTo(sys, all.at(-1)!);
    assert.deepEqual(allowedCpus(sys), [all.at(-1)]);
    assert.equal(sys.libc.sched_getcpu(), all.at(-1));
  } finally {
    const mask = new Uint8Array(1024);
    for (const cpu of all) mask[cpu >> 3]! |= 1 << (cpu & 7);
    sys.libc.sched_setaffinity(0, 1024n, sys.ffi.getRawPointer(mask));
  }
  assert.deepEqual(allowedCpus(sys), all);
});
