/**
 * `rfc`: vCPU 0's record alone, the stable bit tested before the loop: as posted in December 2014 and as first merged.
 *
 * Assumes: what `landed` assumes, and that the bit does not change between its test and the loop. The review's first
 * objection: it can, and then a line that is not stable is returned as if it were.
 * Pays: the same as `landed`.
 * Gets wrong: bit and values may come from different updates.
 */
import { PVCLOCK_TSC_STABLE_BIT, PVTI } from '../abi/pvti.ts';
import type { GuestCpu } from './cpu.ts';
import { readBegin, readCycles, readRetry } from './sequence.ts';

export function rfc(cpu: GuestCpu, records: number): bigint | undefined {
  const pvti = records;
  if ((cpu.load8(pvti + PVTI.flags) & PVCLOCK_TSC_STABLE_BIT) === 0) return undefined; // outside the sequence
  for (;;) {
    const version = readBegin(cpu, pvti);
    const ns = readCycles(cpu, pvti);
    if (!readRetry(cpu, pvti, version)) return ns;
    cpu.relax();
  }
}
