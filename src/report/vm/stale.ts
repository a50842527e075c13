/**
 * For how long record 0 stays what it was after an update, while vCPU 1 is in the guest and has been told: it depends on
 * where vCPU 0 is. vCPU 1 watches both records in a loop of machine code, by its TSC.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FlavourName } from '../../hypervisor/policy.ts';
import { allowCpus, allowedCpus, pinTo } from '../../machine/affinity.ts';
import { Guest, startThreads } from '../../machine/kvm/guest.ts';
import type { Kvm } from '../../machine/kvm/kvm.ts';
import { SAMPLE_STALE, SAMPLE_STALE_BYTES } from '../../machine/kvm/samplers.ts';
import { VcpuThread } from '../../machine/kvm/thread.ts';
import { type Spread, spreadOf } from '../statistics.ts';
import { settleRecords } from './race.ts';

/** Where vCPU 0 is at the update. `preempted`: in a loop in the guest, but vCPU 1 has its processor. */
export const PLACES = ['running', 'preempted', 'halted', 'user space'] as const;
export type Place = (typeof PLACES)[number];

export interface StaleFor {
  readonly vcpu0: Place;
  readonly runs: number;
  /** Runs in which record 0 was written before the watch ended; in the others it was stale to its end, `watchedNs`. */
  readonly ended: number;
  readonly watchedNs: number;
  readonly ns: Spread;
}

const WATCH_NS = 50_000_000;
const JUMP_NS = 1_000_000_000n;
const RUNS = 5;
const MOST_TRIES = 20;

/** Measures each place `RUNS` times. */
export async function staleTimes(
  kvm: Kvm,
  flavour?: FlavourName,
  onPlace?: (place: Place) => void,
): Promise<StaleFor[]> {
  const results: StaleFor[] = [];
  for (const vcpu0 of PLACES) {
    onPlace?.(vcpu0);
    const crowded = vcpu0 === 'preempted';
    const cpus = allowedCpus(kvm.sys);
    const threads = crowded ? await threadsOn(kvm, cpus.at(-1)!) : await startThreads(kvm, 2);
    try {
      if (crowded) pinTo(kvm.sys, cpus[0]!); // away from them: the host must see who runs
      const runs: { ns: number; ended: boolean }[] = [];
      for (let tries = 0; runs.length < RUNS; tries++) {
        const run = await watch(kvm, threads, vcpu0, flavour);
        if (run !== undefined) runs.push(run);
        else if (tries === MOST_TRIES)
          throw new Error('vCPU 1 is never in the guest when the clock is updated: is this host busy?');
      }
      const ended = runs.filter((run) => run.ended).length;
      results.push({ vcpu0, runs: RUNS, ended, watchedNs: WATCH_NS, ns: spreadOf(runs.map(({ ns }) => ns)) });
    } finally {
      allowCpus(kvm.sys, cpus);
      await Promise.all(threads.map((thread) => thread.close()));
    }
  }
  return results;
}

/** Both on one host CPU, so that one of them always waits for the other. */
function threadsOn(kvm: Kvm, cpu: number): Promise<VcpuThread[]> {
  return Promise.all([VcpuThread.start(kvm.sys, cpu), VcpuThread.start(kvm.sys, cpu)]);
}

/** One run; undefined where vCPU 1's watch was over before it was told. */
async function watch(
  kvm: Kvm,
  threads: readonly VcpuThread[],
  vcpu0: Place,
  flavour: FlavourName | undefined,
): Promise<{ ns: number; ended: boolean } | undefined> {
  await using guest = await Guest.create(kvm, { vcpus: 2, threads, irqchip: vcpu0 === 'halted', flavour });
  await settleRecords(guest);
  const nsPerCycle = 1e6 / guest.vm.vcpus[1]!.tscKhz();
  const block = guest.allocate(SAMPLE_STALE_BYTES);
  const { view } = guest.vm.memory;
  view.setBigUint64(block + SAMPLE_STALE.own, BigInt(guest.recordAt(1)), true);
  view.setBigUint64(block + SAMPLE_STALE.other, BigInt(guest.recordAt(0)), true);
  view.setBigUint64(block + SAMPLE_STALE.limit, BigInt(Math.ceil(WATCH_NS / nsPerCycle)), true);
  const word = (offset: number): bigint => view.getBigUint64(block + offset, true);
  const atRest = guest.allocate(8);
  const busy = occupy(guest, vcpu0, atRest);
  const watching = guest.call(1, 'sample_stale', { first: block });
  const beats = new BigUint64Array(view.buffer, block + SAMPLE_STALE.beat, 1);
  let over = false;
  const ended = watching.finally(() => {
    over = true;
  });
  const begun = vcpu0 === 'preempted' ? beatsNow : hasBegun;
  const isHalted = (): boolean => vcpu0 !== 'halted' || view.getBigUint64(atRest, true) === HALTING;
  while (!over && !isHalted()) await Promise.race([sleep(1), ended]);
  if (vcpu0 === 'halted') await sleep(1); // from its word to the HLT
  while (!over && !begun(beats)) await Promise.race([sleep(1), ended]);
  guest.clock.set({ clock: guest.clock.get().clock + JUMP_NS });
  await ended;
  await guest.threads[0]!.stop();
  await busy;
  const moved = word(SAMPLE_STALE.moved);
  if (moved === 0n) return undefined;
  return { ns: Number(word(SAMPLE_STALE.stale) - word(SAMPLE_STALE.told)) * nsPerCycle, ended: moved === 2n };
}

function hasBegun(beats: BigUint64Array): boolean {
  return Atomics.load(beats, 0) !== 0n;
}

const HALTING = 1n;

const LOOKS = 2_000;

/** True while vCPU 1 runs: with vCPU 0 on the same processor, that one then waits. */
function beatsNow(beats: BigUint64Array): boolean {
  const seen = Atomics.load(beats, 0);
  for (let i = 0; i < LOOKS; i++) if (Atomics.load(beats, 0) !== seen) return true;
  return false;
}

/** Brings vCPU 0 where it is to be; ends when its thread is stopped. `atRest`: a word that says that it halts. */
async function occupy(guest: Guest, place: Place, atRest: number): Promise<void> {
  if (place === 'user space') return;
  if (place === 'halted') await endedByUs(guest.call(0, 'guest_halt', { ring: 0, first: atRest, second: HALTING }));
  else await endedByUs(guest.call(0, 'guest_spin'));
}

async function endedByUs(call: Promise<unknown>): Promise<void> {
  await call.catch((error: Error) => {
    if (!/interrupted/.test(error.message)) throw error;
  });
}
