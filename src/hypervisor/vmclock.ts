/**
 * The publisher of a VMClock page: sequence odd, body, sequence even. A disruption (the VM was moved) changes the
 * disruption marker, a restored snapshot the generation counter too, in the same odd phase as the new time.
 */
import {
  VMCLOCK,
  VMCLOCK_BYTES,
  VMCLOCK_COUNTER,
  VMCLOCK_FLAG,
  VMCLOCK_MAGIC,
  VMCLOCK_STATUS,
  VMCLOCK_TIME,
  VMCLOCK_VERSION,
} from '../abi/vmclock.ts';
import { NSEC_PER_SEC } from '../scale/timespec.ts';
import { u64Of } from './arguments.ts';
import type { HostCpu } from './cpu.ts';

/** The real time at one value of the guest's TSC, and what is known of both. */
export interface VmclockState {
  /** Guest TSC, cycles ... */
  readonly tsc: bigint;
  /** ... at this instant: ns since 1970, UTC. */
  readonly utcNs: bigint;
  /** Cycles of the guest's TSC in a second. */
  readonly tscHz: bigint;
  /** A value of VMCLOCK_STATUS; SYNCHRONIZED if not given. */
  readonly status?: number;
  /** TAI - UTC in seconds, where it is known. */
  readonly taiOffsetSec?: number;
  /** The largest error that the time may have at `tsc`, in ns, where it is known. */
  readonly maxErrorNs?: bigint;
  /** By how many parts in 10^9 of the time since then that may grow, where it is known. */
  readonly maxErrorPpb?: number;
  /** A value of VMCLOCK_LEAP; NONE if not given. */
  readonly leapIndicator?: number;
  /** Bits of VMCLOCK_FLAG that say which disruption is near or what the time keeps to; those that tell which fields count are set beside them. */
  readonly flags?: bigint;
}

/** What happened to the VM since the page was last written. */
export type Disruption = 'none' | 'migrated' | 'restored';

/**
 * One cycle in units of 2^-(64 + shift) s, with the most bits that 64 hold. Throws RangeError on a rate below 2 Hz, or that
 * is no u64.
 */
export function counterPeriod(tscHz: bigint): { fracSec: bigint; shift: number } {
  if (u64Of('tscHz', tscHz) < 2n) throw new RangeError(`tscHz: ${tscHz} Hz is too slow for a page to tell`);
  let shift = 0;
  while ((1n << BigInt(64 + shift + 1)) / tscHz < 1n << 64n) shift++;
  return { fracSec: (1n << BigInt(64 + shift)) / tscHz, shift };
}

/** Writes the fixed part of a page that guests cannot see yet. */
export function initVmclock(cpu: HostCpu, page: number): void {
  for (let at = 0; at < VMCLOCK_BYTES; at += 8) cpu.store64(page + at, 0n);
  cpu.store32(page + VMCLOCK.magic, VMCLOCK_MAGIC);
  cpu.store32(page + VMCLOCK.size, VMCLOCK_BYTES);
  const kind = (VMCLOCK_COUNTER.X86_TSC << 16) | (VMCLOCK_TIME.UTC << 24);
  cpu.store32(page + VMCLOCK.version, VMCLOCK_VERSION | kind); // version, counter and time type: one word
}

/**
 * Publishes the time. Returns the even sequence it left. Throws RangeError on a state that no page can tell; the page is then
 * as it was.
 */
export function publishVmclock(cpu: HostCpu, page: number, state: VmclockState, disruption: Disruption): number {
  const words = wordsOf(state); // may throw: before the sequence is odd
  const odd = ((cpu.load32(page + VMCLOCK.seqCount) + 1) | 1) >>> 0;
  cpu.store32(page + VMCLOCK.seqCount, odd);
  cpu.writeBarrier(); // odd sequence before body
  if (disruption !== 'none') increment(cpu, page + VMCLOCK.disruptionMarker);
  if (disruption === 'restored') increment(cpu, page + VMCLOCK.vmGenerationCounter);
  for (const [field, value] of words) {
    if (typeof value === 'bigint') cpu.store64(page + VMCLOCK[field], value);
    else cpu.store32(page + VMCLOCK[field], value);
  }
  cpu.writeBarrier(); // body before even sequence
  const even = (odd + 1) >>> 0;
  cpu.store32(page + VMCLOCK.seqCount, even);
  return even;
}

type VmclockWord = readonly [field: keyof typeof VMCLOCK, value: number | bigint];

/** The words that tell `state`, a bigint for one of 64 bits. */
function wordsOf(state: VmclockState): VmclockWord[] {
  const { taiOffsetSec, maxErrorNs, maxErrorPpb, status = VMCLOCK_STATUS.SYNCHRONIZED, leapIndicator = 0 } = state;
  const period = counterPeriod(state.tscHz);
  let flags = (state.flags ?? 0n) | VMCLOCK_FLAG.VM_GEN_COUNTER_PRESENT;
  if (taiOffsetSec !== undefined) flags |= VMCLOCK_FLAG.TAI_OFFSET_VALID;
  if (maxErrorNs !== undefined) flags |= VMCLOCK_FLAG.TIME_MAXERROR_VALID;
  if (maxErrorPpb !== undefined) flags |= VMCLOCK_FLAG.PERIOD_MAXERROR_VALID;
  const utcNs = u64Of('utcNs', state.utcNs);
  const tai = (taiOffsetSec ?? 0) & 0xffff;
  return [
    ['flags', u64Of('flags', flags)],
    ['pad', status << 16], // padding, status and smearing: one word
    ['taiOffsetSec', tai | (leapIndicator << 16) | (period.shift << 24)], // TAI, leap second and shift: one word
    ['counterValue', u64Of('tsc', state.tsc)],
    ['counterPeriodFracSec', period.fracSec],
    ['counterPeriodMaxerror', u64Of('maxErrorPpb', partsOf(period.fracSec, maxErrorPpb ?? 0))],
    ['timeSec', utcNs / NSEC_PER_SEC],
    ['timeFracSec', ((utcNs % NSEC_PER_SEC) << 64n) / NSEC_PER_SEC],
    ['timeMaxerrorNs', u64Of('maxErrorNs', maxErrorNs ?? 0n)],
  ];
}

/** So many parts in 10^9 of `value`, rounded up. */
function partsOf(value: bigint, ppb: number): bigint {
  return (value * BigInt(Math.ceil(ppb)) + NSEC_PER_SEC - 1n) / NSEC_PER_SEC;
}

function increment(cpu: HostCpu, address: number): void {
  cpu.store64(address, BigInt.asUintN(64, cpu.load64(address) + 1n));
}
