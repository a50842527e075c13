/**
 * `raw-tsc`: the bare TSC in cycles, the floor that the readers are measured against.
 *
 * Assumes: the caller knows the frequency, and that the TSCs agree and never change: nobody tells it when they do.
 */
import type { GuestCpu } from './cpu.ts';

export function rawTsc(cpu: GuestCpu): bigint {
  return cpu.rdtscOrdered();
}
