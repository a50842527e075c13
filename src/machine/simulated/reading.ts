/**
 * What a vCPU does while the clock is put under stress: it reads, as fast as it can, and holds each reading against
 *
 *   what was published    torn:  timestamp and time that the reader took were never published together, or the reading is
 *                         not what they give at the TSC that it read
 *   its own record        stale: the reader took a line older than the one that this vCPU had been told of before the call
 *   all other readings    warp:  the reading lies behind one that somebody had been given before the call; stall: equal to it
 */
import { PVCLOCK_TSC_STABLE_BIT } from '../../abi/pvti.ts';
import type { Reader } from '../../guest/cpu.ts';
import { wasPublished } from './published-lines.ts';
import { nothingTaken, type SimulatedVcpu } from './vcpu.ts';
import { RECORDS_AT, type SimulatedVm } from './vm.ts';

/** What one reader was seen to do. */
export interface ReadingCounts {
  reads: number;
  /** Readings that the reader refused, as the record was not stable. */
  unstable: number;
  /** Times that a reader's loop went round once more. */
  retries: number;
  torn: number;
  stale: number;
  warps: number;
  worstWarpNs: number;
  stalls: number;
}

/** What all threads of one run share. `words`: see RUN. `latest`: the latest time that anybody was given, ns. */
export interface Run {
  readonly words: Int32Array;
  readonly latest: BigUint64Array;
}

/** Words of a run: 1 = the end has come; threads that are ready; how often the host has set the clock back. */
export const RUN = { stop: 0, ready: 1, setBacks: 2 } as const;

export function createRun(): Run {
  return {
    words: new Int32Array(new SharedArrayBuffer(4 * Object.keys(RUN).length)),
    latest: new BigUint64Array(new SharedArrayBuffer(8)),
  };
}

function noCounts(): ReadingCounts {
  return { reads: 0, unstable: 0, retries: 0, torn: 0, stale: 0, warps: 0, worstWarpNs: 0, stalls: 0 };
}

/** All together; the worst of all. */
export function totalOf(counts: readonly ReadingCounts[]): ReadingCounts {
  const sum = (key: keyof ReadingCounts): number => counts.reduce((value, count) => value + count[key], 0);
  return {
    reads: sum('reads'),
    unstable: sum('unstable'),
    retries: sum('retries'),
    torn: sum('torn'),
    stale: sum('stale'),
    warps: sum('warps'),
    worstWarpNs: Math.max(...counts.map(({ worstWarpNs }) => worstWarpNs)),
    stalls: sum('stalls'),
  };
}

/** A reader under stress. */
export interface StressedReader {
  readonly read: Reader;
  /** It may give more than the record does: what its kernel has told the time to be already. */
  readonly clamps: boolean;
}

/** A vCPU leaves the guest of its own accord after so many rounds: for its timer, or because it has nothing to do. */
const ROUNDS_A_STRETCH = 256;

/**
 * Reads with every reader in turns, in guest mode, until the run is stopped. Returns what was seen, reader by reader. `kernel`:
 * what ticks on this vCPU.
 */
export function readUntilStopped(
  vcpu: SimulatedVcpu,
  vm: SimulatedVm,
  readers: readonly StressedReader[],
  run: Run,
  kernel?: { tick(): void },
): ReadingCounts[] {
  const counts = readers.map(noCounts);
  const taken = readers.map(nothingTaken); // each its own: what one keeps from call to call is not what another took
  const byKernel = nothingTaken();
  Atomics.add(run.words, RUN.ready, 1);
  Atomics.notify(run.words, RUN.ready);
  vcpu.enter();
  for (let round = 1; Atomics.load(run.words, RUN.stop) === 0; round++) {
    for (const [index, reader] of readers.entries()) {
      vcpu.taken = taken[index]!;
      readOnce(vcpu, vm, reader, run, counts[index]!);
    }
    if (round % ROUNDS_A_STRETCH !== 0) continue;
    vcpu.exit();
    vcpu.taken = byKernel;
    kernel?.tick();
  }
  vcpu.leave();
  return counts;
}

function readOnce(vcpu: SimulatedVcpu, vm: SimulatedVm, reader: StressedReader, run: Run, counts: ReadingCounts): void {
  const told = vcpu.toldTsc();
  const setBacks = Atomics.load(run.words, RUN.setBacks);
  const latest = Atomics.load(run.latest, 0);
  const rounds = vcpu.rounds;
  const ns = reader.read(vcpu, RECORDS_AT);
  counts.reads++;
  counts.retries += vcpu.rounds - rounds;
  if (ns === undefined) {
    counts.unstable++;
    return;
  }
  if (isTorn(vcpu, vm, reader, ns)) counts.torn++;
  if (vcpu.takenTsc() < told) counts.stale++;
  if (ns < latest && Atomics.load(run.words, RUN.setBacks) === setBacks) {
    counts.warps++;
    counts.worstWarpNs = Math.max(counts.worstWarpNs, Number(latest - ns));
  } else if (ns === latest) counts.stalls++;
  raise(run.latest, ns);
}

function isTorn(vcpu: SimulatedVcpu, vm: SimulatedVm, { clamps }: StressedReader, ns: bigint): boolean {
  const { tscTimestamp, systemTime, flags } = vcpu.taken;
  const ofTaken = vcpu.takenNs();
  if (ns !== ofTaken && !(clamps && ns > ofTaken)) return true;
  // A record that is not stable holds a line of its vCPU's own, which nobody published for all.
  return (flags & PVCLOCK_TSC_STABLE_BIT) !== 0 && !wasPublished(vm.lines, tscTimestamp, systemTime);
}

function raise(latest: BigUint64Array, ns: bigint): void {
  for (;;) {
    const found = Atomics.load(latest, 0);
    if (ns <= found || Atomics.compareExchange(latest, 0, found, ns) === found) return;
  }
}
