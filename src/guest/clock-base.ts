/** The arithmetic of a clock's base (abi/clock-base.ts): its line at a counter, and the same line from a later base. */
import type { ClockBase } from '../abi/clock-base.ts';
import { NSEC_PER_SEC, type Timespec } from '../scale/timespec.ts';

/** What the line needs. */
export type ClockLine = Pick<ClockBase, 'cycleLast' | 'mult' | 'shift' | 'sec' | 'shiftedNsec'>;

const COUNTER_BITS = 63;

/** Cycles from `cycleLast` to `cycles`, both taken mod 2^63: -2^62..2^62-1. */
export function cyclesApart(cycles: bigint, cycleLast: bigint): bigint {
  return BigInt.asIntN(COUNTER_BITS, cycles - cycleLast);
}

/** A counter that lies behind its base counts as one that is level with it: the clock never shows less than its base. */
export function clampedToBase(apart: bigint): bigint {
  return apart < 0n ? 0n : apart;
}

/** The line `delta` cycles (0..2^62-1) past its base. The product is kept whole: no delta is too large. */
export function timeAfter(line: ClockLine, delta: bigint): Timespec {
  const ns = nsAfter(line, delta);
  return { sec: BigInt.asIntN(64, line.sec + ns / NSEC_PER_SEC), nsec: Number(ns % NSEC_PER_SEC) };
}

/** The same in ns from the base's second on: u64. */
function nsAfter({ mult, shift, shiftedNsec }: ClockLine, delta: bigint): bigint {
  return BigInt.asUintN(64, (shiftedNsec + delta * BigInt(mult)) >> BigInt(shift));
}

/** The same line, told from `cycles` on: exact to the last bit behind the point. A counter that is behind changes nothing. */
export function movedTo<B extends ClockLine>(base: B, cycles: bigint): B {
  const delta = clampedToBase(cyclesApart(cycles, base.cycleLast));
  const second = NSEC_PER_SEC << BigInt(base.shift);
  const shifted = base.shiftedNsec + delta * BigInt(base.mult);
  return {
    ...base,
    cycleLast: BigInt.asUintN(COUNTER_BITS, base.cycleLast + delta),
    sec: BigInt.asIntN(64, base.sec + shifted / second),
    shiftedNsec: shifted % second,
  };
}

/** The base moved by `ns`, forward or back. */
export function steppedBy<B extends ClockLine>(base: B, ns: bigint): B {
  const second = NSEC_PER_SEC << BigInt(base.shift);
  const shifted = base.shiftedNsec + (ns << BigInt(base.shift));
  const rest = ((shifted % second) + second) % second; // bigints round towards zero
  return { ...base, sec: BigInt.asIntN(64, base.sec + (shifted - rest) / second), shiftedNsec: rest };
}
