/** Starts and ends the project's own worker threads, from source (.ts) and from the built package (.js) alike. */
import { once } from 'node:events';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { FFI_FLAG, otherThanNode } from './runtime.ts';

const FLAGS = ['--disable-warning=ExperimentalWarning', ...process.execArgv.filter((flag) => flag === FFI_FLAG)];

/**
 * `name`: the file beside `base` (an import.meta.url), without its ending. Of the flags only that for node:ffi is inherited; no
 * warning of its own about that.
 */
export function startWorker(name: string, base: string, options: WorkerOptions = {}): Worker {
  const ending = base.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./${name}.${ending}`, base), {
    execArgv: otherThanNode()?.startsWith('deno') ? [] : FLAGS, // Deno refuses flags of Node's
    ...options,
  });
}

/** What a thread is sent that is to end by itself. */
export const END = 'end';

/**
 * Ends a thread that calls node:ffi. It is told to end by itself, behind its compiles (compile-jobs.ts), and is terminated
 * only where it has not within `patienceMs`.
 */
export async function endWorker(worker: Worker, patienceMs: number): Promise<void> {
  if (worker.threadId === -1) return; // it has ended
  worker.ref();
  worker.postMessage(END);
  try {
    await once(worker, 'exit', { signal: AbortSignal.timeout(patienceMs) });
  } catch {
    await worker.terminate();
  }
}
