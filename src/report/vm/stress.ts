/**
 * Readers on every vCPU at native speed while the host updates the clock as fast as it can: is any reading torn, behind
 * another, or from a line that its vCPU has left? What each count means stands with the program, in machine/kvm/stress-code.ts.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Guest } from '../../machine/kvm/guest.ts';
import { SAMPLE_STRESS, SAMPLE_STRESS_BYTES, STRESS_TABLE_BYTES } from '../../machine/kvm/stress-code.ts';
import { LINE_BYTES } from '../../vdso/cached.ts';
import { settleRecords } from './race.ts';

export const STRESS_READERS = ['before', 'rfc', 'landed', 'cached', 'relaxed'] as const;
export type StressReader = (typeof STRESS_READERS)[number];

export interface StressOptions {
  readonly reader: StressReader;
  readonly seconds: number;
  readonly onProgress?: (seconds: number) => void;
}

export interface StressReport {
  readonly reads: number;
  readonly updates: number;
  readonly seconds: number;
  /** Copies of record 0 that were begun again, as it changed meanwhile. */
  readonly retries: number;
  readonly torn: number;
  /** Readings behind one that somebody had been given, and the worst; readings equal to it. */
  readonly warps: number;
  readonly worstWarpNs: number;
  readonly stalls: number;
  /** Copies of record 0 on another line than the own record of the vCPU that read it. */
  readonly stale: number;
  /** Readings that the reader refused, as the record was not stable. */
  readonly unstable: number;
}

/**
 * Between two updates the host sleeps this long (and as much longer as its timers are coarse): an update holds every vCPU
 * out of the guest for some microseconds, and without a pause none would ever get to read.
 */
const PAUSE_MS = 0.02;
/** Updates for which the loop holds the main thread before it looks whether the time is up. */
const UPDATES_A_TURN = 64;
const never = new Int32Array(new SharedArrayBuffer(4));
const GRACE_MS = 10_000;

export async function stress(guest: Guest, options: StressOptions): Promise<StressReport> {
  await settleRecords(guest);
  const { view } = guest.vm.memory;
  const shared = guest.allocate(16);
  const stop = shared + 8;
  const blocks = guest.vm.vcpus.map(({ id }) => prepare(guest, id, options.reader, shared, stop));
  const deadlineMs = options.seconds * 1000 + GRACE_MS;
  const running = blocks.map((block, id) => guest.call(id, 'sample_stress', { first: block, deadlineMs }));
  const watched = Promise.race(running); // only a failure can end one of them before the stop
  const start = performance.now();
  const until = start + options.seconds * 1000;
  let updates = 0;
  while (performance.now() < until) {
    for (let i = 0; i < UPDATES_A_TURN; i++) {
      guest.clock.refresh();
      Atomics.wait(never, 0, 0, PAUSE_MS);
    }
    updates += UPDATES_A_TURN;
    options.onProgress?.((performance.now() - start) / 1000);
    await Promise.race([turn(), watched]);
  }
  view.setBigUint64(stop, 1n, true);
  await Promise.all(running);
  const seconds = (performance.now() - start) / 1000;
  const sum = (offset: number): number =>
    blocks.reduce((total, block) => total + Number(view.getBigUint64(block + offset, true)), 0);
  const worst = blocks.map((block) => Number(view.getBigUint64(block + SAMPLE_STRESS.worstNs, true)));
  return {
    reads: sum(SAMPLE_STRESS.reads),
    updates,
    seconds,
    retries: sum(SAMPLE_STRESS.retries),
    torn: sum(SAMPLE_STRESS.torn),
    warps: sum(SAMPLE_STRESS.warps),
    worstWarpNs: Math.max(...worst),
    stalls: sum(SAMPLE_STRESS.stalls),
    stale: sum(SAMPLE_STRESS.stale),
    unstable: sum(SAMPLE_STRESS.unstable),
  };
}

function prepare(guest: Guest, vcpu: number, reader: StressReader, shared: number, stop: number): number {
  const { view } = guest.vm.memory;
  const block = guest.allocate(SAMPLE_STRESS_BYTES);
  const line = guest.allocate(LINE_BYTES);
  const put = (offset: number, value: number): void => view.setBigUint64(block + offset, BigInt(value), true);
  put(SAMPLE_STRESS.callee, guest.address(`kvmclock_read_${reader}`));
  put(SAMPLE_STRESS.first, guest.recordAt(0));
  put(SAMPLE_STRESS.second, line);
  put(SAMPLE_STRESS.stop, stop);
  put(SAMPLE_STRESS.shared, shared);
  put(SAMPLE_STRESS.own, guest.recordAt(vcpu));
  put(SAMPLE_STRESS.table, guest.allocate(STRESS_TABLE_BYTES));
  return block;
}
