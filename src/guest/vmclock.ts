/**
 * VMClock: the real time from a page of the hypervisor's, under a sequence count, with what is known of its error and with
 * the two counters by which a guest finds out that it was moved or copied.
 *
 * Assumes: the counter is the TSC, and all vCPUs' TSCs agree. It may stand on either side of the page's `counterValue`: a
 * vCPU may be a little behind the one that the page was written by.
 * Pays: an ordered TSC read and a 64 by 64 bit product.
 * Gets wrong: nothing by itself. The page's magic and size are for the caller to check once (`isVmclock`): they do not change.
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
import type { GuestCpu } from './cpu.ts';
import { readBegin, readRetry } from './sequence.ts';

/** The time by a VMClock page at one moment, and what the page says of it. */
export interface VmclockTime {
  /** Seconds of the page's time type (VMCLOCK_TIME). */
  readonly sec: bigint;
  /** 2^-64 s. */
  readonly fracSec: bigint;
  /** A value of VMCLOCK_TIME: see `utcNs` for the offset between TAI and UTC. */
  readonly timeType: number;
  /** TAI - UTC, in seconds; counts only with VMCLOCK_FLAG.TAI_OFFSET_VALID. */
  readonly taiOffsetSec: number;
  /** VMCLOCK_FLAG bits. */
  readonly flags: bigint;
  /** A value of VMCLOCK_STATUS, never UNRELIABLE. */
  readonly status: number;
  /** A value of VMCLOCK_LEAP: whether a second is inserted or left out at the end of this month. */
  readonly leapIndicator: number;
  /** By how much the time may be off, ns rounded up, grown with what the rate may be off where the page says that; undefined where it says nothing. */
  readonly maxErrorNs: bigint | undefined;
  /** Another value than last time: time may have broken off in between (live migration). */
  readonly disruptionMarker: bigint;
  /** Another value than last time: this VM may exist twice (restored snapshot). */
  readonly vmGenerationCounter: bigint;
}

/** True where a VMClock page of the version that is known here begins at `page`. */
export function isVmclock(cpu: GuestCpu, page: number): boolean {
  const version = cpu.load32(page + VMCLOCK.version) & 0xffff; // the low half of its word
  return (
    cpu.load32(page + VMCLOCK.magic) === VMCLOCK_MAGIC &&
    cpu.load32(page + VMCLOCK.size) >= VMCLOCK_BYTES &&
    version === VMCLOCK_VERSION
  );
}

/** The time now; undefined where the page says that its time is not reliable, or counts by something that is not the TSC. */
export function readVmclock(cpu: GuestCpu, page: number): VmclockTime | undefined {
  const sequence = page + VMCLOCK.seqCount;
  for (;;) {
    const version = readBegin(cpu, sequence);
    // Not validated: a torn read of these two costs an answer, never gives a wrong one.
    if (cpu.load8(page + VMCLOCK.clockStatus) === VMCLOCK_STATUS.UNRELIABLE) return undefined;
    if (cpu.load8(page + VMCLOCK.counterId) !== VMCLOCK_COUNTER.X86_TSC) return undefined;
    const tsc = cpu.rdtscOrdered(); // TSC after sequence
    const time = timeAt(cpu, page, tsc);
    if (!readRetry(cpu, sequence, version)) return time;
    cpu.relax();
  }
}

/** Nanoseconds since 1970 in UTC; undefined where the page counts from another epoch, or gives TAI without its offset. */
export function utcNs(time: VmclockTime): bigint | undefined {
  const ns = time.sec * NSEC_PER_SEC + ((time.fracSec * NSEC_PER_SEC) >> 64n);
  if (time.timeType === VMCLOCK_TIME.UTC) return ns;
  if (time.timeType !== VMCLOCK_TIME.TAI || (time.flags & VMCLOCK_FLAG.TAI_OFFSET_VALID) === 0n) return undefined;
  return ns - BigInt(time.taiOffsetSec) * NSEC_PER_SEC; // UTC is behind TAI
}

function timeAt(cpu: GuestCpu, page: number, tsc: bigint): VmclockTime {
  const delta = BigInt.asIntN(64, tsc - cpu.load64(page + VMCLOCK.counterValue)); // signed: a TSC may be behind the page's
  const shift = BigInt(cpu.load8(page + VMCLOCK.counterPeriodShift));
  const period = cpu.load64(page + VMCLOCK.counterPeriodFracSec);
  const frac = cpu.load64(page + VMCLOCK.timeFracSec) + ((delta * period) >> shift);
  const flags = cpu.load64(page + VMCLOCK.flags);
  return {
    sec: BigInt.asUintN(64, cpu.load64(page + VMCLOCK.timeSec) + (frac >> 64n)),
    fracSec: BigInt.asUintN(64, frac),
    timeType: cpu.load8(page + VMCLOCK.timeType),
    taiOffsetSec: (cpu.load32(page + VMCLOCK.taiOffsetSec) << 16) >> 16, // the low half of its word
    flags,
    status: cpu.load8(page + VMCLOCK.clockStatus),
    leapIndicator: cpu.load8(page + VMCLOCK.leapIndicator),
    maxErrorNs: maxErrorAfter(cpu, page, flags, delta, shift),
    disruptionMarker: cpu.load64(page + VMCLOCK.disruptionMarker),
    vmGenerationCounter: cpu.load64(page + VMCLOCK.vmGenerationCounter),
  };
}

function maxErrorAfter(cpu: GuestCpu, page: number, flags: bigint, delta: bigint, shift: bigint): bigint | undefined {
  if ((flags & VMCLOCK_FLAG.TIME_MAXERROR_VALID) === 0n) return undefined;
  const atPage = cpu.load64(page + VMCLOCK.timeMaxerrorNs);
  if ((flags & VMCLOCK_FLAG.PERIOD_MAXERROR_VALID) === 0n) return atPage;
  const cycles = delta < 0n ? -delta : delta;
  const grown = cycles * cpu.load64(page + VMCLOCK.counterPeriodMaxerror) * NSEC_PER_SEC;
  return atPage + -(-grown >> (64n + shift)); // rounded up
}
