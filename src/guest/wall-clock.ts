/**
 * The wall clock: the UTC instant at which the VM's clock was zero. Add a reading of the clock for the time of day.
 *
 * Assumes: the hypervisor writes it once, when the guest writes its address to the MSR, so it is as old as that write and
 * does not follow the host's later adjustments. Two reads of two structures are not one instant: fine, as this one stands.
 */
import { WALL_CLOCK } from '../abi/wall-clock.ts';
import { NSEC_PER_SEC } from '../scale/timespec.ts';
import type { GuestCpu } from './cpu.ts';
import { readBegin, readRetry } from './sequence.ts';

/** Nanoseconds from 1970 to the VM's zero. `secHi`: address of the high word of the seconds, where there is one. */
export function readWallClock(cpu: GuestCpu, wall: number, secHi?: number): bigint {
  for (;;) {
    const version = readBegin(cpu, wall);
    const sec = cpu.load32(wall + WALL_CLOCK.sec);
    const nsec = cpu.load32(wall + WALL_CLOCK.nsec);
    const high = secHi === undefined ? 0 : cpu.load32(secHi);
    if (!readRetry(cpu, wall, version)) return ((BigInt(high) << 32n) | BigInt(sec)) * NSEC_PER_SEC + BigInt(nsec);
    cpu.relax();
  }
}
