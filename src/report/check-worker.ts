/** A worker that explores one configuration after the other: each message is one, each answer its verdict. */
import { parentPort } from 'node:worker_threads';
import { type CheckJob, runCheck } from './check-run.ts';

const port = parentPort!;
port.on('message', (job: CheckJob) => {
  port.postMessage(runCheck(job));
});
