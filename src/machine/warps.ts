/** Counts warps: readings of the clock on all vCPUs at once, each held to the latest that any vCPU was given. */
import type { Worker } from 'node:worker_threads';
import type { WarpCount } from './measure.ts';
import { EXPECTED, SHARED_BYTES, type WarpTask } from './warp-task.ts';
import { endWorker, startWorker } from './worker-thread.ts';

/** A thread that has reported ends by itself; the others of one that could not are still waiting for it. */
const END_MS = 1000;

/** `reads` readings in all, shared out over one thread a CPU in `cpus`. Rejects where a thread cannot do its part. */
export async function countWarps(cpus: readonly number[], reads: number): Promise<WarpCount> {
  const shared = new SharedArrayBuffer(SHARED_BYTES);
  new Int32Array(shared)[EXPECTED] = cpus.length;
  const count = Math.ceil(reads / cpus.length);
  const workers = cpus.map((cpu) => {
    const workerData: WarpTask = { shared, cpu, count };
    return startWorker('warp-worker', import.meta.url, { workerData });
  });
  let patienceMs = 0;
  try {
    const counts = await Promise.all(workers.map(firstMessage));
    patienceMs = END_MS;
    return {
      reads: sum(counts.map((c) => c.reads)),
      warps: sum(counts.map((c) => c.warps)),
      worstNs: Math.max(...counts.map((c) => c.worstNs)),
      stalls: sum(counts.map((c) => c.stalls)),
    };
  } finally {
    await Promise.all(workers.map((worker) => endWorker(worker, patienceMs)));
  }
}

function firstMessage(worker: Worker): Promise<WarpCount> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`a measuring thread ended with ${code} before it reported`)));
  });
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
