/**
 * `before`: the record of the vCPU that runs, whose number is asked before and after. Linux's vDSO until v4.4.
 *
 * Assumes: vCPU numbers map one to one to records; a record is rewritten, and its version moves, whenever its vCPU moves to
 * another physical CPU (KVM does not do this while the clock is stable). And that a thread is not moved to another
 * vCPU for the TSC read alone and back: neither number nor version would show it.
 * Pays: two reads of the vCPU number and a second fence, that holds the TSC read in at the far end.
 * Gets wrong: that 1-0-1 migration.
 */
import { PVCLOCK_TSC_STABLE_BIT, PVTI, pvtiAddress } from '../abi/pvti.ts';
import type { GuestCpu } from './cpu.ts';
import { readBegin, readCycles, readRetry } from './sequence.ts';

export function before(cpu: GuestCpu, records: number): bigint | undefined {
  for (;;) {
    const vcpu = cpu.vcpu();
    const pvti = pvtiAddress(records, vcpu);
    const version = readBegin(cpu, pvti);
    const ns = readCycles(cpu, pvti);
    const flags = cpu.load8(pvti + PVTI.flags);
    cpu.loadFence(); // TSC before the second look at number and version
    const moved = cpu.vcpu() !== vcpu;
    if (!readRetry(cpu, pvti, version) && !moved) return (flags & PVCLOCK_TSC_STABLE_BIT) === 0 ? undefined : ns;
    cpu.relax();
  }
}
