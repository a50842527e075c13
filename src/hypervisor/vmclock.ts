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

/** One cycle in units of 2^-(64 + shift) s, with the most bits that 64 hold. `tscHz`: 2 or more. */
export function counterPeriod(tscHz: bigint): { fracSec: bigint; shift: number } {
  let shift = 0;
  while (shift < 63 && (1n << BigInt(64 + shift + 1)) / tscHz < 1n << 64n) shift++;
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

/** Publishes the time. Returns the even sequence it left. */
export function publishVmclock(cpu: HostCpu, page: number, state: VmclockState, disruption: Disruption): number {
  const odd = ((cpu.load32(page + VMCLOCK.seqCount) + 1) | 1) >>> 0;
  cpu.store32(page + VMCLOCK.seqCount, odd);
  cpu.writeBarrier(); // odd sequence before body
  if (disruption !== 'none') increment(cpu, page + VMCLOCK.disruptionMarker);
  if (disruption === 'restored') increment(cpu, page + VMCLOCK.vmGenerationCounter);
  storeTime(cpu, page, state);
  cpu.writeBarrier(); // body before even sequence
  const even = (odd + 1) >>> 0;
  cpu.store32(page + VMCLOCK.seqCount, even);
  return even;
}

function storeTime(cpu: HostCpu, page: number, state: VmclockState): void {
  const { taiOffsetSec, maxErrorNs, maxErrorPpb, status = VMCLOCK_STATUS.SYNCHRONIZED, leapIndicator = 0 } = state;
  const period = counterPeriod(state.tscHz);
  let flags = (state.flags ?? 0n) | VMCLOCK_FLAG.VM_GEN_COUNTER_PRESENT;
  if (taiOffsetSec !== undefined) flags |= VMCLOCK_FLAG.TAI_OFFSET_VALID;
  if (maxErrorNs !== undefined) flags |= VMCLOCK_FLAG.TIME_MAXERROR_VALID;
  if (maxErrorPpb !== undefined) flags |= VMCLOCK_FLAG.PERIOD_MAXERROR_VALID;
  cpu.store64(page + VMCLOCK.flags, flags);
  cpu.store32(page + VMCLOCK.pad, status << 16); // padding, status and smearing: one word
  const tai = (taiOffsetSec ?? 0) & 0xffff;
  // TAI, leap second and shift: one word
  cpu.store32(page + VMCLOCK.taiOffsetSec, (tai | (leapIndicator << 16) | (period.shift << 24)) >>> 0);
  cpu.store64(page + VMCLOCK.counterValue, state.tsc);
  cpu.store64(page + VMCLOCK.counterPeriodFracSec, period.fracSec);
  cpu.store64(page + VMCLOCK.counterPeriodMaxerror, partsOf(period.fracSec, maxErrorPpb ?? 0));
  cpu.store64(page + VMCLOCK.timeSec, state.utcNs / NSEC_PER_SEC);
  cpu.store64(page + VMCLOCK.timeFracSec, ((state.utcNs % NSEC_PER_SEC) << 64n) / NSEC_PER_SEC);
  cpu.store64(page + VMCLOCK.timeMaxerrorNs, maxErrorNs ?? 0n);
}

/** So many parts in 10^9 of `value`, rounded up. */
function partsOf(value: bigint, ppb: number): bigint {
  return (value * BigInt(ppb) + NSEC_PER_SEC - 1n) / NSEC_PER_SEC;
}

function increment(cpu: HostCpu, address: number): void {
  cpu.store64(address, BigInt.asUintN(64, cpu.load64(address) + 1n));
}
