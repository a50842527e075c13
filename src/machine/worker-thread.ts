/** Starts the project's own worker threads, from source (.ts) and from the built package (.js) alike. */
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** `name`: the file beside `base` (an import.meta.url), without its ending. No inherited flags; no FFI warning of its own. */
export function startWorker(name: string, base: string, options: WorkerOptions = {}): Worker {
  const ending = base.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./${name}.${ending}`, base), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    ...options,
  });
}
