/** The thread of the simulated machine's host: it updates the VM's clock while the vCPUs read. */
import { parentPort, workerData } from 'node:worker_threads';
import { RUN, type Run } from './reading.ts';
import { type UpdateKind, updateOf } from './updates.ts';
import { openHypervisor, type SimulatedVm } from './vm.ts';

export interface HostData {
  readonly vm: SimulatedVm;
}

/** Updates until the time is up or `mostUpdates` are made, with a pause of up to `pauseMs`, by chance, after each; then stops the run. */
export interface HostRequest {
  readonly kind: UpdateKind;
  readonly run: Run;
  readonly seconds: number;
  readonly mostUpdates: number;
  readonly pauseMs: number;
}

export interface HostReply {
  readonly updates: number;
  readonly seconds: number;
}

/** A shorter pause is spun, as the system's timers are no finer. */
const SLEEP_FROM_MS = 1;
/** After one update in so many it sleeps so long all the same: all processors are the vCPUs' then, and none is held out. */
const REST_ONE_IN = 32;
const REST_MS = 0.2;

const { vm } = workerData as HostData;
const hypervisor = openHypervisor(vm);

parentPort!.on('message', (request: HostRequest) => parentPort!.postMessage(serve(request)));

function serve({ kind, run, seconds, mostUpdates, pauseMs }: HostRequest): HostReply {
  const update = updateOf(kind, vm, hypervisor, () => {
    Atomics.store(run.latest, 0, 0n);
    Atomics.add(run.words, RUN.setBacks, 1);
  });
  const before = Atomics.load(vm.updates, 0);
  const updates = (): number => (Atomics.load(vm.updates, 0) - before) >>> 0;
  untilAllAreReady(run);
  const start = performance.now();
  const elapsed = (): number => (performance.now() - start) / 1000;
  while (elapsed() < seconds && updates() < mostUpdates) {
    update();
    pause(run, Math.random() * pauseMs);
  }
  Atomics.store(run.words, RUN.stop, 1);
  return { updates: updates(), seconds: elapsed() };
}

function untilAllAreReady({ words }: Run): void {
  for (;;) {
    const ready = Atomics.load(words, RUN.ready);
    if (ready === vm.vcpus) return;
    Atomics.wait(words, RUN.ready, ready);
  }
}

function pause(run: Run, ms: number): void {
  const until = performance.now() + ms;
  if (ms >= SLEEP_FROM_MS) Atomics.wait(run.words, RUN.stop, 0, ms);
  else if (Math.random() * REST_ONE_IN < 1) Atomics.wait(run.words, RUN.stop, 0, REST_MS);
  while (performance.now() < until);
}
