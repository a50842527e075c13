/** A worker that does one job of the checker after the other: each message is a job, each answer its result. */
import { parentPort } from 'node:worker_threads';
import { type CheckJob, type MutationJob, runCheck, runMutation } from './check-run.ts';

const port = parentPort!;
port.on('message', (job: CheckJob | MutationJob) => {
  port.postMessage('mutation' in job ? runMutation(job) : runCheck(job));
});
