/** A whole record, consistent: for looking at, not for telling the time. */
import { PVTI, type Pvti } from '../abi/pvti.ts';
import type { GuestCpu } from './cpu.ts';
import { readBegin, readRetry, signed8 } from './sequence.ts';

/** Every field of the record at `pvti`, all from one update. */
export function snapshot(cpu: GuestCpu, pvti: number): Pvti {
  for (;;) {
    const version = readBegin(cpu, pvti);
    const record = {
      version,
      tscTimestamp: cpu.load64(pvti + PVTI.tscTimestamp),
      systemTime: cpu.load64(pvti + PVTI.systemTime),
      tscToSystemMul: cpu.load32(pvti + PVTI.tscToSystemMul),
      tscShift: signed8(cpu.load8(pvti + PVTI.tscShift)),
      flags: cpu.load8(pvti + PVTI.flags),
    };
    if (!readRetry(cpu, pvti, version)) return record;
    cpu.relax();
  }
}
