/**
 * The writer's half of the bases' sequence counts: new bases, all from one instant.
 *
 * Assumes: one writer at a time. Then no reader is given a time behind one that was read on the line before, as long as each
 * new line begins at or above the last.
 */
import { CLOCK_BASE, type ClockBase, clockBaseAddress, hasClockBase } from '../abi/clock-base.ts';
import type { TimekeeperCpu } from './cpu.ts';

/** Reads the counter that the bases count by. For PVCLOCK that is the kernel's own read (guest/kernel.ts). */
export type Counter = () => bigint;

/**
 * Writes the bases of `clocks` anew, all from one instant: `make` is given the base that stands there, and the counter. The
 * counter is read while the sequences are odd: whoever reads on the old lines has read the counter before that.
 */
export function rewriteBases(
  cpu: TimekeeperCpu,
  page: number,
  clocks: readonly number[],
  counter: Counter,
  make: (base: ClockBase, cycles: bigint, clock: number) => ClockBase,
): void {
  const addresses = clocks.map((clock) => baseAddress(page, clock));
  for (const address of addresses) bump(cpu, address);
  cpu.fence(); // odd sequences before the counter
  const cycles = counter();
  clocks.forEach((clock, index) => {
    const address = addresses[index]!;
    storeBase(cpu, address, make(loadBase(cpu, address), cycles, clock));
  });
  cpu.writeBarrier(); // lines before even sequences
  for (const address of addresses) bump(cpu, address);
}

function baseAddress(page: number, clock: number): number {
  if (!hasClockBase(clock)) throw new RangeError(`rewriteBases: there is no base for clock ${clock}`);
  return clockBaseAddress(page, clock);
}

/** Even to odd, or odd to even. Only the writer changes it, so it may look without care. */
function bump(cpu: TimekeeperCpu, address: number): void {
  cpu.store32(address, (cpu.load32(address) + 1) >>> 0);
}

/** For the writer alone: nobody else changes it meanwhile. */
export function loadBase(cpu: TimekeeperCpu, address: number): ClockBase {
  return {
    mode: cpu.load32(address + CLOCK_BASE.mode),
    cycleLast: cpu.load64(address + CLOCK_BASE.cycleLast),
    validCycles: cpu.load64(address + CLOCK_BASE.validCycles),
    mult: cpu.load32(address + CLOCK_BASE.mult),
    shift: cpu.load32(address + CLOCK_BASE.shift),
    sec: BigInt.asIntN(64, cpu.load64(address + CLOCK_BASE.sec)),
    shiftedNsec: cpu.load64(address + CLOCK_BASE.shiftedNsec),
    errorNs: cpu.load64(address + CLOCK_BASE.errorNs),
    errorPpb: cpu.load32(address + CLOCK_BASE.errorPpb),
  };
}

function storeBase(cpu: TimekeeperCpu, address: number, base: ClockBase): void {
  cpu.store32(address + CLOCK_BASE.mode, base.mode);
  cpu.store64(address + CLOCK_BASE.cycleLast, base.cycleLast);
  cpu.store64(address + CLOCK_BASE.validCycles, base.validCycles);
  cpu.store32(address + CLOCK_BASE.mult, base.mult);
  cpu.store32(address + CLOCK_BASE.shift, base.shift);
  cpu.store64(address + CLOCK_BASE.sec, BigInt.asUintN(64, base.sec));
  cpu.store64(address + CLOCK_BASE.shiftedNsec, base.shiftedNsec);
  cpu.store64(address + CLOCK_BASE.errorNs, base.errorNs);
  cpu.store32(address + CLOCK_BASE.errorPpb, base.errorPpb);
}
