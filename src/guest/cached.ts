/**
 * `cached`: scale and base are kept from the last version seen; a call checks only that the version is still that one.
 *
 * Assumes: what `landed` assumes. One `CachedLine` belongs to one thread.
 * Pays: the ordered TSC read, the arithmetic and one load; no flag test, as an unstable record is never kept.
 * Gets wrong: what `landed` gets wrong. Where the processor does the version's load before the TSC is read, which nothing
 * on x86 forbids, an update between the two goes unnoticed: the answer is the old line's, some cycles past its end.
 */
import { PVCLOCK_TSC_STABLE_BIT, PVTI } from '../abi/pvti.ts';
import type { GuestCpu } from './cpu.ts';
import { lineAt, readBegin, readRetry, signed8 } from './sequence.ts';

/** The line of the last stable version seen. */
export interface CachedLine {
  version: number;
  tscTimestamp: bigint;
  systemTime: bigint;
  mul: number;
  shift: number;
}

/** A line that matches no record: an odd version never stands while a record can be read. */
export function emptyLine(): CachedLine {
  return { version: 1, tscTimestamp: 0n, systemTime: 0n, mul: 0, shift: 0 };
}

export function cached(cpu: GuestCpu, records: number, line: CachedLine): bigint | undefined {
  const pvti = records;
  for (;;) {
    const tsc = cpu.rdtscOrdered();
    cpu.readBarrier(); // TSC before version
    const version = cpu.load32(pvti + PVTI.version);
    if (version === line.version && (version & 1) === 0) {
      return lineAt(tsc, line.tscTimestamp, line.systemTime, line.mul, line.shift);
    }
    if (!refill(cpu, pvti, line)) return undefined;
    cpu.relax();
  }
}

/** Takes the record's line over; false where it is not stable. */
function refill(cpu: GuestCpu, pvti: number, line: CachedLine): boolean {
  for (;;) {
    const version = readBegin(cpu, pvti);
    const stable = (cpu.load8(pvti + PVTI.flags) & PVCLOCK_TSC_STABLE_BIT) !== 0;
    const mul = cpu.load32(pvti + PVTI.tscToSystemMul);
    const shift = signed8(cpu.load8(pvti + PVTI.tscShift));
    const systemTime = cpu.load64(pvti + PVTI.systemTime);
    const tscTimestamp = cpu.load64(pvti + PVTI.tscTimestamp);
    if (!readRetry(cpu, pvti, version)) {
      line.version = stable ? version : 1;
      line.mul = mul;
      line.shift = shift;
      line.systemTime = systemTime;
      line.tscTimestamp = tscTimestamp;
      return stable;
    }
    cpu.relax();
  }
}
