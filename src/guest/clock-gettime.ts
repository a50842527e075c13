/**
 * clock_gettime in user space: a base that the guest's kernel keeps, and a counter. Two sequence counts, one inside the
 * other: that of the base around all, that of the record around the counter where the counter is the record's clock.
 *
 * Assumes: what the inner reader assumes; and that the kernel takes a new base at a reading of the same counter, with the
 * sequence odd, so that no line begins behind what was read on the last.
 * Pays: the inner reader, and a product behind it.
 * Gets wrong: what the inner reader gets wrong, but never shows less than the base.
 */
import { CLOCK_BASE, CLOCK_MODE, clockBaseAddress, hasClockBase } from '../abi/clock-base.ts';
import { CLOCK_REALTIME, EINVAL, VDSO_CLOCKS } from '../abi/clock-id.ts';
import type { Timespec } from '../scale/timespec.ts';
import { clampedToBase, cyclesApart, timeAfter } from './clock-base.ts';
import type { GuestCpu, Reader } from './cpu.ts';
import { readBegin, readRetry } from './sequence.ts';

/** Where the clocks are. */
export interface ClockPage {
  /** Address of the page of bases. */
  readonly bases: number;
  /** Address of vCPU 0's record, and the reader that reads it. */
  readonly records: number;
  readonly read: Reader;
}

export interface ClockReading extends Timespec {
  /** The base is not for this counter, which is too far on or back: this is the latest that it ever gives. Ask the kernel. */
  readonly old: boolean;
}

/** The kernel's clock_gettime: the time, or an errno with its sign turned. */
export type ClockCall = (clock: number) => Timespec | number;

/**
 * The time by the page alone; undefined where there is none to be had so: a clock that has no base, a mode of NONE, a record
 * that is not stable.
 */
export function readClock(cpu: GuestCpu, page: ClockPage, clock: number): ClockReading | undefined {
  if (!hasClockBase(clock)) return undefined;
  return readBase(cpu, clockBaseAddress(page.bases, clock), (mode) => {
    if (mode === CLOCK_MODE.TSC) return cpu.rdtscOrdered();
    return mode === CLOCK_MODE.PVCLOCK ? page.read(cpu, page.records) : undefined;
  });
}

/**
 * The kernel's own clock_gettime, for those whom the page does not serve: the same lines, by a counter that it can always
 * read. For PVCLOCK that is the read of its own vCPU's record (guest/kernel.ts).
 */
export function systemClockGettime(
  cpu: GuestCpu,
  bases: number,
  clock: number,
  counter: () => bigint,
): Timespec | number {
  if (!VDSO_CLOCKS.some((known) => known === clock)) return -EINVAL;
  const { sec, nsec } = readBase(cpu, clockBaseAddress(bases, clock), counter)!;
  return { sec, nsec };
}

/** The time by the base at `base`. `counter`: what it counts by in its mode; undefined where that cannot be read. */
function readBase(
  cpu: GuestCpu,
  base: number,
  counter: (mode: number) => bigint | undefined,
): ClockReading | undefined {
  for (;;) {
    const sequence = readBegin(cpu, base); // sequence before mode, counter and line
    // Mode and stability are not validated by the sequence: a torn read of them costs a system call, never a wrong time.
    const mode = cpu.load32(base + CLOCK_BASE.mode); // before the counter: the record may be touched in its own mode alone
    const cycles = mode === CLOCK_MODE.COARSE ? cpu.load64(base + CLOCK_BASE.cycleLast) : counter(mode);
    if (cycles === undefined) return undefined;
    const cycleLast = cpu.load64(base + CLOCK_BASE.cycleLast);
    const validCycles = cpu.load64(base + CLOCK_BASE.validCycles);
    const mult = cpu.load32(base + CLOCK_BASE.mult);
    const shift = cpu.load32(base + CLOCK_BASE.shift);
    const sec = BigInt.asIntN(64, cpu.load64(base + CLOCK_BASE.sec));
    const shiftedNsec = cpu.load64(base + CLOCK_BASE.shiftedNsec);
    if (!readRetry(cpu, base, sequence)) {
      const apart = cyclesApart(cycles, cycleLast);
      const old = apart > validCycles || -apart > validCycles;
      const delta = old ? validCycles : clampedToBase(apart);
      return { ...timeAfter({ cycleLast, mult, shift, sec, shiftedNsec }, delta), old };
    }
    cpu.relax();
  }
}

/**
 * clock_gettime(clock): by the page, else by the kernel, which alone knows clocks that have no base and answers -EINVAL for
 * those that there are not. A base that is too old holds the kernel's answer up to what it has given itself.
 */
export function clockGettime(cpu: GuestCpu, page: ClockPage, clock: number, kernel: ClockCall): Timespec | number {
  const reading = readClock(cpu, page, clock);
  if (reading !== undefined && !reading.old) return { sec: reading.sec, nsec: reading.nsec };
  const answer = kernel(clock);
  if (reading === undefined || typeof answer === 'number' || !isBefore(answer, reading)) return answer;
  return { sec: reading.sec, nsec: reading.nsec };
}

/** gettimeofday: CLOCK_REALTIME in whole microseconds. */
export function gettimeofday(
  cpu: GuestCpu,
  page: ClockPage,
  kernel: ClockCall,
): { sec: bigint; usec: number } | number {
  const time = clockGettime(cpu, page, CLOCK_REALTIME, kernel);
  return typeof time === 'number' ? time : { sec: time.sec, usec: Math.floor(time.nsec / 1000) };
}

/** time: the second in which CLOCK_REALTIME's base lies. One load, which cannot tear: it needs no sequence and no counter. */
export function time(cpu: GuestCpu, page: ClockPage): bigint {
  return BigInt.asIntN(64, cpu.load64(clockBaseAddress(page.bases, CLOCK_REALTIME) + CLOCK_BASE.sec));
}

function isBefore(a: Timespec, b: Timespec): boolean {
  return a.sec < b.sec || (a.sec === b.sec && a.nsec < b.nsec);
}
