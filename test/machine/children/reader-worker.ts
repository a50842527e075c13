/** Answers every message with a reading of this thread's own clock, until it is told to end. */
import { parentPort } from 'node:worker_threads';
import { openClock } from '../../../src/machine/clock.ts';
import { END } from '../../../src/machine/worker-thread.ts';

const clock = openClock();
parentPort!.on('message', (message) => {
  if (message === END) parentPort!.close();
  else parentPort!.postMessage({ source: clock.source, now: clock.now() });
});
