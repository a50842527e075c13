import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { CLOCK_PAGE_BYTES } from '../../src/abi/clock-base.ts';
import { loadClock } from '../../src/machine/clock-image.ts';
import { endWorker } from '../../src/machine/worker-thread.ts';
import type { BasesWork } from './children/bases-worker.ts';
import { sysHere } from './live-here.ts';

const BURST = 100_000;
const END_AT = CLOCK_PAGE_BYTES;

/** Readings by the image, and updates by a thread, while `goOn` says so; and how many readings were behind the one before. */
async function readWhileRewritten(isEarly: boolean, goOn: (readings: number, stepsBack: number) => boolean) {
  const sys = sysHere();
  const page = new SharedArrayBuffer(CLOCK_PAGE_BYTES + 256);
  const image = loadClock(sys);
  image.kvmclock_attach(0n);
  image.kvmclock_attach_bases(sys.ffi.getRawPointer(new Uint8Array(page)), 0n, 0n);
  const work: BasesWork = { page, bases: 0, endAt: END_AT, isEarly };
  const worker = new Worker(new URL('./children/bases-worker.ts', import.meta.url), {
    workerData: work,
    execArgv: ['--no-warnings'],
  });
  try {
    await once(worker, 'message');
    let [readings, stepsBack, last] = [0, 0, 0n];
    while (goOn(readings, stepsBack)) {
      for (let i = 0; i < BURST; i++) {
        const ns = image.kvmclock_monotonic();
        if (ns < last) stepsBack++;
        last = ns;
      }
      readings += BURST;
    }
    Atomics.store(new Int32Array(page, END_AT, 1), 0, 1);
    const [updates] = (await once(worker, 'message')) as [number];
    return { stepsBack, updates };
  } finally {
    await endWorker(worker, 1000);
  }
}

describe('rewriteBases() in one thread, the image reading in another', () => {
  test('no reading is behind the one before, however often the pace changes', async () => {
    const { stepsBack, updates } = await readWhileRewritten(false, (readings) => readings < 25 * BURST);
    assert.ok(updates > 1000, `${updates} updates`);
    assert.equal(stepsBack, 0);
  });

  test('that check catches a writer that reads the counter before the sequence is odd', async () => {
    const { stepsBack } = await readWhileRewritten(true, (readings, found) => found === 0 && readings < 5000 * BURST);
    assert.ok(stepsBack > 0);
  });
});
