/** One vCPU of a warp count: pins itself, waits until all are there, reads, and reports. */
import { parentPort, workerData } from 'node:worker_threads';
import { pinTo } from './affinity.ts';
import { openLive } from './live.ts';
import { openMeter } from './measure.ts';
import { isUnavailable } from './sys.ts';
import { EXPECTED, LATEST_AT, READY, type WarpTask } from './warp-task.ts';

/** A worker that could not take part must not leave the others waiting for it. */
const MEETING_MS = 5000;

const { shared, cpu, count } = workerData as WarpTask;
const live = openLive();
if (isUnavailable(live)) throw new Error(live.unavailable);
pinTo(live.sys, cpu);
const meter = openMeter(live);
const callee = { address: live.image.kvmclock_read_landed.pointer, first: live.address };
const words = new Int32Array(shared);
const latest = live.sys.ffi.getRawPointer(new Uint8Array(shared)) + BigInt(LATEST_AT);

Atomics.add(words, READY, 1);
const deadline = performance.now() + MEETING_MS;
while (Atomics.load(words, READY) < Atomics.load(words, EXPECTED) && performance.now() < deadline);
parentPort!.postMessage(meter.warps(callee, count, latest));
