/**
 * `freebsd`: record 0 while it is stable, else the record of the vCPU whose number came with the TSC. The form that
 * FreeBSD's libc ships; the thread's reviewers proposed the second half in January 2015.
 *
 * Assumes: RDTSCP; for the second half, a clamp over the answers of all vCPUs (`clampToLast`), as their records differ.
 * Pays: `landed`'s price while stable; two RDTSCPs when not.
 * Gets wrong: what `landed` gets wrong; and the second RDTSCP does not notice a thread moved away and back between them.
 */
import { PVCLOCK_TSC_STABLE_BIT, PVTI, pvtiAddress } from '../abi/pvti.ts';
import type { GuestCpu } from './cpu.ts';
import { cyclesToNs, readBegin, readRetry } from './sequence.ts';

export function freebsd(cpu: GuestCpu, records: number): bigint {
  for (;;) {
    const version = readBegin(cpu, records);
    if ((cpu.load8(records + PVTI.flags) & PVCLOCK_TSC_STABLE_BIT) !== 0) {
      const ns = cyclesToNs(cpu, records, cpu.rdtscOrdered());
      if (!readRetry(cpu, records, version)) return ns;
    } else {
      const ns = ownRecord(cpu, records);
      if (ns !== undefined) return ns;
    }
    cpu.relax();
  }
}

function ownRecord(cpu: GuestCpu, records: number): bigint | undefined {
  const { vcpu } = cpu.rdtscp();
  const pvti = pvtiAddress(records, vcpu);
  const version = readBegin(cpu, pvti);
  const again = cpu.rdtscp(); // TSC and number from one vCPU
  const ns = cyclesToNs(cpu, pvti, again.tsc);
  return again.vcpu === vcpu && !readRetry(cpu, pvti, version) ? ns : undefined;
}
