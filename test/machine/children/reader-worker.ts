/** Answers every message with a reading of this thread's own clock. */
import { parentPort } from 'node:worker_threads';
import { openClock } from '../../../src/machine/clock.ts';

const clock = openClock();
parentPort!.on('message', () => parentPort!.postMessage({ source: clock.source, now: clock.now() }));
