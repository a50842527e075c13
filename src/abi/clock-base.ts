/**
 * The page by which a guest's kernel lets user space read its clocks: a base a clock, 64 bytes apart, in the order of
 * the clocks' numbers.
 *
 *   ns = sec * 10^9 + ((shiftedNsec + (cycles - cycleLast) * mult) >> shift)
 *
 * `sequence` is a sequence count as a record's version is. Linux has one for all clocks that share a rate; here each
 * clock has its own, and its own rate, so that one read touches one cache line and one clock can be slewed alone.
 * A page of zeros holds no clock: its modes say NONE.
 */
import type { Struct } from './struct.ts';

/** Bytes from one clock's base to the next: one cache line. */
export const CLOCK_BASE_BYTES = 64;

/** Numbers of clocks with a place in the page: 0..11. */
export const CLOCK_BASES = 12;

export const CLOCK_PAGE_BYTES = CLOCK_BASES * CLOCK_BASE_BYTES;

/** What `cycles` is. */
export const CLOCK_MODE = {
  /** Nothing: ask the kernel. */
  NONE: 0,
  /** The TSC. */
  TSC: 1,
  /** Nanoseconds by the record of vCPU 0, while that is stable. */
  PVCLOCK: 2,
  /** `cycleLast`: the clock stands still between two updates. */
  COARSE: 3,
} as const;

/** Offset of each field, in bytes. */
export const CLOCK_BASE = {
  sequence: 0,
  mode: 4,
  cycleLast: 8,
  validCycles: 16,
  mult: 24,
  shift: 28,
  sec: 32,
  shiftedNsec: 40,
  errorNs: 48,
  errorPpb: 56,
} as const;

export const CLOCK_BASE_LAYOUT = {
  sequence: ['u32', CLOCK_BASE.sequence],
  mode: ['u32', CLOCK_BASE.mode],
  cycleLast: ['u64', CLOCK_BASE.cycleLast],
  validCycles: ['u64', CLOCK_BASE.validCycles],
  mult: ['u32', CLOCK_BASE.mult],
  shift: ['u32', CLOCK_BASE.shift],
  sec: ['s64', CLOCK_BASE.sec],
  shiftedNsec: ['u64', CLOCK_BASE.shiftedNsec],
  errorNs: ['u64', CLOCK_BASE.errorNs],
  errorPpb: ['u32', CLOCK_BASE.errorPpb],
} as const;

/**
 * One base. `cycleLast`: the counter when it was taken; below 2^63, as counters are taken mod 2^63. `validCycles`: the
 * base is not for counters that are further from it, at most MAX_VALID_CYCLES; a little behind it counts as level. `mult`: ns a cycle, shifted left by `shift`
 * (0..63). `shiftedNsec`: ns within the second, shifted left likewise. `errorNs`: how far the clock may be off at
 * `cycleLast`, and `errorPpb`: by how many parts in 10^9 of the time since then that grows.
 */
export type ClockBase = Omit<Struct<typeof CLOCK_BASE_LAYOUT>, 'sequence'>;

/** A base for any counter: half of what a difference of two can be; the other half is negative. */
export const MAX_VALID_CYCLES = (1n << 62n) - 1n;

/** Where the base of `clock` begins, given where the page does. */
export function clockBaseAddress(page: number, clock: number): number {
  return page + clock * CLOCK_BASE_BYTES;
}

/** Whether the page has a place for `clock`; false for negative numbers. */
export function hasClockBase(clock: number): boolean {
  return clock >= 0 && clock < CLOCK_BASES;
}
