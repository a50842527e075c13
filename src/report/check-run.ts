/** Runs the checker: one configuration here, or many on every processor. */
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { check } from '../checker/check.ts';
import type { Bounds } from '../checker/explore.ts';
import type { Part } from '../checker/mutations/mutation.ts';
import { MUTATIONS, mutantsIn } from '../checker/mutations/mutations.ts';
import { type Baselines, type MutationReport, tryMutation } from '../checker/mutations/trial.ts';
import type { ReductionName } from '../checker/reductions.ts';
import type { Configuration } from '../checker/scenarios.ts';
import { startWorker } from '../machine/worker-thread.ts';
import type { TimedVerdict } from './check.ts';

export interface CheckJob {
  readonly configuration: Configuration;
  readonly bounds: Bounds;
  /** Reductions of the search to do without. */
  readonly unreduced?: readonly ReductionName[];
}

export function runCheck(job: CheckJob, onProgress?: (states: number, expanded: number) => void): TimedVerdict {
  const { configuration, ...options } = job;
  const start = performance.now();
  const mutants = mutantsIn(configuration);
  const verdict = check(configuration, {
    ...options,
    ...(mutants === undefined ? {} : { mutants }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  return { ...verdict, seconds: (performance.now() - start) / 1000 };
}

/** The most memory that this process has ever held, in bytes: its workers' too. */
export function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
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

/** Every mutation, or those of one part, tried. */
export function runMutations(
  part: Part | undefined,
  onDone: (done: number, all: number) => void,
): Promise<TimedMutation[]> {
  const jobs = MUTATIONS.flatMap((mutation, index) =>
    part === undefined || mutation.part === part ? [{ mutation: index }] : [],
  );
  return runJobs<MutationJob, TimedMutation>(jobs, (done) => onDone(done, jobs.length));
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
