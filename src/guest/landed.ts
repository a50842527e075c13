/**
 * `landed`: vCPU 0's record alone, the stable bit inside the sequence. What Linux's vDSO has run since v4.5.
 *
 * Assumes: the TSCs of all vCPUs agree while the bit is set; record 0 says so as long as it holds for any vCPU. KVM does
 * not keep the second: a vCPU can be back in the guest, already told that the clock is no longer stable, while record 0
 * still has the bit.
 * Pays: one ordered TSC read and a few loads that hide behind it.
 * Gets wrong: nothing that record 0 itself gets right; a stale record 0 gives a stale answer.
 */
import { PVCLOCK_TSC_STABLE_BIT, PVTI } from '../abi/pvti.ts';
import type { GuestCpu } from './cpu.ts';
import { readBegin, readCycles, readRetry } from './sequence.ts';

export function landed(cpu: GuestCpu, records: number): bigint | undefined {
  const pvti = records;
  for (;;) {
    const version = readBegin(cpu, pvti);
    // Not validated by the version on purpose: a torn read of the bit costs a needless system call, never a wrong time.
    if ((cpu.load8(pvti + PVTI.flags) & PVCLOCK_TSC_STABLE_BIT) === 0) return undefined;
    const ns = readCycles(cpu, pvti);
    if (!readRetry(cpu, pvti, version)) return ns;
    cpu.relax();
  }
}
