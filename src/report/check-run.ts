/** Runs the checker: one configuration here, or many on every processor. */
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { check } from '../checker/check.ts';
import type { Bounds } from '../checker/explore.ts';
import { type Baselines, MUTATIONS, type MutationReport, tryMutation } from '../checker/mutations.ts';
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

export interface MutationJob {
  /** Its place in the list. */
  readonly mutation: number;
}

export interface TimedMutation extends MutationReport {
  readonly seconds: number;
}

const baselines: Baselines = new Map();

export function runMutation({ mutation }: MutationJob): TimedMutation {
  const start = performance.now();
  const report = tryMutation(MUTATIONS[mutation]!, baselines);
  return { ...report, seconds: (performance.now() - start) / 1000 };
}

/** The verdicts of all, in their order. `onDone`: called after each, in the order in which they end. */
export function runChecks(jobs: readonly CheckJob[], onDone: (done: number) => void): Promise<TimedVerdict[]> {
  return runJobs<CheckJob, TimedVerdict>(jobs, onDone);
}

/** Every mutation, tried. */
export function runMutations(onDone: (done: number) => void): Promise<TimedMutation[]> {
  const jobs = MUTATIONS.map((_, mutation) => ({ mutation }));
  return runJobs<MutationJob, TimedMutation>(jobs, onDone);
}

/** One worker on each processor, each taking the next job once it is done with one. */
async function runJobs<Job, Result>(jobs: readonly Job[], onDone: (done: number) => void): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    const thread = startWorker('check-worker', import.meta.url);
    try {
      while (next < jobs.length) {
        const index = next++;
        thread.postMessage(jobs[index]);
        results[index] = await answerOf<Result>(thread);
        onDone(++done);
      }
    } finally {
      await thread.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), jobs.length) }, work));
  return results;
}

function answerOf<Result>(thread: Worker): Promise<Result> {
  return new Promise((resolve, reject) => {
    thread.removeAllListeners('error');
    thread.once('error', reject);
    thread.once('message', resolve);
  });
}
