/** Rewrites the base of CLOCK_MONOTONIC as fast as it can, at one pace and at a hundredth of it in turns, until it is told to end. */
import { parentPort, workerData } from 'node:worker_threads';
import { CLOCK_MODE, MAX_VALID_CYCLES } from '../../../src/abi/clock-base.ts';
import { CLOCK_MONOTONIC } from '../../../src/abi/clock-id.ts';
import { movedTo } from '../../../src/guest/clock-base.ts';
import { rewriteBases } from '../../../src/guest/rewrite-bases.ts';
import { loadClock } from '../../../src/machine/clock-image.ts';
import { isUnavailable, openSys } from '../../../src/machine/sys.ts';
import { pageCpu } from '../../../src/machine/timekeeper.ts';

export interface BasesWork {
  readonly page: SharedArrayBuffer;
  /** Address of the page of bases in it, and of the u32 that ends the work. */
  readonly bases: number;
  readonly endAt: number;
  /** Reads the counter before the sequence is odd, as no writer should. */
  readonly isEarly: boolean;
}

const { page, bases, endAt, isEarly } = workerData as BasesWork;
const sys = openSys();
if (isUnavailable(sys)) throw new Error(sys.unavailable);
const image = loadClock(sys);
const cpu = pageCpu(page);
const end = new Int32Array(page, endAt, 1);
const FULL = 1 << 30;
let updates = 0;
const update = (): void => {
  const early = isEarly ? image.kvmclock_rdtsc_ordered() : undefined;
  rewriteBases(
    cpu,
    bases,
    [CLOCK_MONOTONIC],
    () => early ?? image.kvmclock_rdtsc_ordered(),
    (base, cycles) => ({
      ...(updates === 0 ? { ...base, cycleLast: cycles } : movedTo(base, cycles)),
      mode: CLOCK_MODE.TSC,
      validCycles: MAX_VALID_CYCLES,
      mult: updates % 2 === 0 ? FULL : Math.round(FULL / 100),
      shift: 32,
    }),
  );
  updates++;
};
update();
parentPort!.postMessage('started');
while (Atomics.load(end, 0) === 0) update();
parentPort!.postMessage(updates);
