/**
 * The four steps of the thread, on real vCPUs:
 *
 *   1. all records are stable, and on one line
 *   2. the host updates the clock: an update that ends its stability (`unstable`), or one that does not (`set-clock`)
 *   3. vCPU 1 enters the guest, already told: its own record is new
 *   4. it reads through record 0, which is vCPU 0's to write, and vCPU 0 has not run
 *
 * A reading is stale where this vCPU's own record says that the clock is not stable and the reader answers all the same,
 * or where it lies outside what the own record gives right before and right after it.
 */
import { PVCLOCK_TSC_STABLE_BIT, type Pvti } from '../../abi/pvti.ts';
import { lineAt } from '../../guest/sequence.ts';
import type { FlavourName } from '../../hypervisor/policy.ts';
import { Guest, startThreads } from '../../machine/kvm/guest.ts';
import type { Kvm } from '../../machine/kvm/kvm.ts';
import { SAMPLE_ONCE, SAMPLE_ONCE_BYTES } from '../../machine/kvm/samplers.ts';
import { LINE_BYTES } from '../../vdso/cached.ts';

export const UPDATES = ['unstable', 'set-clock'] as const;
export type Update = (typeof UPDATES)[number];

export const RACERS = ['before', 'rfc', 'landed', 'cached', 'relaxed'] as const;
export type Racer = (typeof RACERS)[number];
/** The reader whose staleness counts: Linux ships it. */
const JUDGED = 'landed';

/** SET_CLOCK moves the clock this far ahead: more than any reading takes. */
export const JUMP_NS = 3_600_000_000_000n;
export const UNSTABLE = 2n ** 64n - 1n;
const TOLD = 1;

/** What one reader returned on vCPU 1 after step 3. `ns` null: it said that the clock is not stable. */
export interface RaceReading {
  readonly reader: string;
  readonly ns: bigint | null;
  /** How far outside its own record's line, ns; negative: behind. Null where there is no reading. */
  readonly errorNs: bigint | null;
  readonly stale: boolean;
}

export interface RaceStep {
  readonly what: string;
  readonly records: readonly Pvti[];
  readonly readings?: readonly RaceReading[];
}

export interface RaceRun {
  readonly steps: readonly RaceStep[];
  readonly stale: boolean;
  /** The largest distance of a stale reading, ns. */
  readonly worstErrorNs: bigint;
}

/** Many runs, each on a VM of its own. */
export interface RaceReport {
  readonly clock: string;
  readonly update: Update;
  readonly runs: number;
  readonly stale: number;
  readonly worstErrorNs: number;
  /** The steps of the first run. */
  readonly steps: readonly RaceStep[];
}

export interface RaceOptions {
  readonly update: Update;
  readonly runs: number;
  /** Our hypervisor, in this flavour, keeps the clock; else KVM. */
  readonly flavour?: FlavourName | undefined;
  readonly onRun?: (done: number) => void;
}

export async function raceMany(kvm: Kvm, { update, runs, flavour, onRun }: RaceOptions): Promise<RaceReport> {
  const threads = await startThreads(kvm, 2);
  try {
    const done: RaceRun[] = [];
    while (done.length < runs) {
      await using guest = await Guest.create(kvm, { vcpus: 2, threads, flavour });
      done.push(await race(guest, update));
      onRun?.(done.length);
    }
    return {
      clock: flavour ?? 'kvm',
      update,
      runs,
      stale: done.filter((run) => run.stale).length,
      worstErrorNs: Math.max(...done.map((run) => Number(run.worstErrorNs))),
      steps: done[0]!.steps,
    };
  } finally {
    await Promise.all(threads.map((thread) => thread.close()));
  }
}

/**
 * Runs the four steps once, on a guest of two vCPUs that has just been made. `careful`: the host knows of the race, has the
 * update made at once (KVM leaves one that a TSC write asks for to the next entry of that vCPU) and lets vCPU 0 enter first.
 */
export async function race(guest: Guest, update: Update, careful = false): Promise<RaceRun> {
  const steps: RaceStep[] = [];
  const note = (what: string, readings?: readonly RaceReading[]): void => {
    const records = [guest.record(0), guest.record(1)];
    steps.push(readings === undefined ? { what, records } : { what, records, readings });
  };
  const line = newLine(guest);
  await settleRecords(guest);
  note('all records are stable');
  await readOn(guest, TOLD, 'cached', line); // it has its line from before the update, as a reader in a loop has
  if (update === 'unstable') guest.clock.mismatchTsc(TOLD);
  else guest.clock.set({ clock: guest.clock.get().clock + JUMP_NS });
  note(
    update === 'unstable' ? "the host moves vCPU 1's TSC: the clock is no longer stable" : 'the host sets the clock',
  );
  if (careful) {
    if (update === 'unstable') guest.clock.refresh();
    await guest.call(0, 'guest_nothing');
  }
  await guest.call(TOLD, 'guest_nothing');
  note(careful ? 'vCPU 0 enters the guest, then vCPU 1' : 'vCPU 1 enters the guest, already told; vCPU 0 has not run');
  const readings: RaceReading[] = [];
  for (const reader of RACERS) readings.push(await readOn(guest, TOLD, reader, line));
  note('vCPU 1 reads', readings);
  await guest.call(0, 'guest_nothing');
  note('vCPU 0 enters');
  const stale = readings.find(({ reader }) => reader === JUDGED)!.stale;
  const worstErrorNs = readings.map(({ errorNs }) => magnitude(errorNs ?? 0n)).reduce((a, b) => (a > b ? a : b));
  return { steps, stale, worstErrorNs };
}

/** Both records kept, and made from one copy: a vCPU's first entry refreshes the copy, so each enters once more. */
export async function settleRecords(guest: Guest): Promise<void> {
  const all = guest.vm.vcpus.map(({ id }) => id);
  for (const vcpu of all) guest.enableRecord(vcpu);
  for (const vcpu of [...all, ...all]) await guest.call(vcpu, 'guest_nothing');
  const [first, ...others] = all.map((vcpu) => guest.record(vcpu)) as [Pvti, ...Pvti[]];
  const one = others.every(
    (other) => other.tscTimestamp === first.tscTimestamp && other.systemTime === first.systemTime,
  );
  if (!one || (first.flags & PVCLOCK_TSC_STABLE_BIT) === 0) {
    throw new Error('the records of a new guest are not stable on one line here: is the clocksource of this host tsc?');
  }
}

/** One reading on `vcpu` through record 0 (`before`: through its own), held against its own record. `line`: from newLine. */
export async function readOn(guest: Guest, vcpu: number, reader: Racer, line: number): Promise<RaceReading> {
  const block = guest.allocate(SAMPLE_ONCE_BYTES);
  const { view } = guest.vm.memory;
  view.setBigUint64(block + SAMPLE_ONCE.callee, BigInt(guest.address(`kvmclock_read_${reader}`)), true);
  view.setBigUint64(block + SAMPLE_ONCE.first, BigInt(guest.recordAt(0)), true);
  view.setBigUint64(block + SAMPLE_ONCE.second, BigInt(line), true);
  await guest.call(vcpu, 'sample_once', { first: block });
  const word = (offset: number): bigint => view.getBigUint64(block + offset, true);
  const own = guest.record(vcpu);
  const ns = word(SAMPLE_ONCE.value);
  if (ns === UNSTABLE) return { reader, ns: null, errorNs: null, stale: false };
  const errorNs = outside(ns, at(own, word(SAMPLE_ONCE.before)), at(own, word(SAMPLE_ONCE.after)));
  return { reader, ns, errorNs, stale: (own.flags & PVCLOCK_TSC_STABLE_BIT) === 0 || errorNs !== 0n };
}

function at({ tscTimestamp, systemTime, tscToSystemMul, tscShift }: Pvti, tsc: bigint): bigint {
  return lineAt(tsc, tscTimestamp, systemTime, tscToSystemMul, tscShift);
}

/** 0 inside low..high, else how far ahead of it (positive) or behind. */
function outside(ns: bigint, low: bigint, high: bigint): bigint {
  if (ns > high) return ns - high;
  return ns < low ? ns - low : 0n;
}

function magnitude(ns: bigint): bigint {
  return ns < 0n ? -ns : ns;
}

/** A line of the `cached` reader's, in the guest, that no record's version matches. */
export function newLine(guest: Guest): number {
  const line = guest.allocate(LINE_BYTES);
  for (let offset = 0; offset < LINE_BYTES; offset += 8)
    guest.vm.memory.view.setBigUint64(line + offset, UNSTABLE, true);
  return line;
}
