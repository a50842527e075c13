/** Runs the checker: one configuration here, or many on every processor. */
import { availableParallelism } from 'node:os';
import { check } from '../checker/check.ts';
import type { Bounds } from '../checker/explore.ts';
import type { Configuration } from '../checker/scenarios.ts';
import { startWorker } from '../machine/worker-thread.ts';
import type { TimedVerdict } from './check.ts';

export interface CheckJob {
  readonly configuration: Configuration;
  readonly bounds: Bounds;
}

export function runCheck(job: CheckJob, onProgress?: (states: number, expanded: number) => void): TimedVerdict {
  const start = performance.now();
  const verdict = check(job.configuration, { bounds: job.bounds, ...(onProgress === undefined ? {} : { onProgress }) });
  return { ...verdict, seconds: (performance.now() - start) / 1000 };
}

/** The verdicts of all, in their order. `onDone`: called after each, in the order in which they end. */
export async function runChecks(
  jobs: readonly CheckJob[],
  onDone: (done: number, verdict: TimedVerdict) => void,
): Promise<TimedVerdict[]> {
  const verdicts: TimedVerdict[] = [];
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    const thread = startWorker('check-worker', import.meta.url);
    try {
      while (next < jobs.length) {
        const index = next++;
        thread.postMessage(jobs[index]);
        const verdict = await new Promise<TimedVerdict>((resolve, reject) => {
          thread.once('message', resolve);
          thread.once('error', reject);
        });
        thread.removeAllListeners('error');
        verdicts[index] = verdict;
        onDone(++done, verdict);
      }
    } finally {
      await thread.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), jobs.length) }, worker));
  return verdicts;
}
