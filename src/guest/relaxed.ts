/**
 * `relaxed`: `landed` with a plain RDTSC, the ordering that Rust's quanta and C++'s tscns give.
 *
 * Assumes: what `landed` assumes, and a caller that can bear the processor reading the TSC some tens of cycles early or
 * late: before the loads that precede the call in program order, or after ones that follow it.
 * Pays: about one RDTSC.
 * Gets wrong: two calls may be read out of order with the memory accesses around them, so "I saw your store, so my
 * time is later than yours" does not hold between vCPUs. Within one thread RDTSC does not run behind itself.
 */
import { PVCLOCK_TSC_STABLE_BIT, PVTI } from '../abi/pvti.ts';
import type { GuestCpu } from './cpu.ts';
import { cyclesToNs, readBegin, readRetry } from './sequence.ts';

export function relaxed(cpu: GuestCpu, records: number): bigint | undefined {
  const pvti = records;
  for (;;) {
    const version = readBegin(cpu, pvti);
    if ((cpu.load8(pvti + PVTI.flags) & PVCLOCK_TSC_STABLE_BIT) === 0) return undefined;
    const ns = cyclesToNs(cpu, pvti, cpu.rdtsc()); // no order: that is the point
    if (!readRetry(cpu, pvti, version)) return ns;
    cpu.relax();
  }
}
