/** What a vCPU's record says, and how it stands to record 0: from the records and one TSC. */
import { PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT, type Pvti } from '../abi/pvti.ts';
import { tscKhz } from '../scale/time-scale.ts';
import { lineAt } from './sequence.ts';

export interface RecordReport extends Pvti {
  readonly vcpu: number;
  readonly stable: boolean;
  /** The hypervisor held the vCPU back, and its kernel has not seen the note. */
  readonly paused: boolean;
  /** This record's line less record 0's, at one TSC, in ns; only meaningful while both are stable. */
  readonly apartNs: number;
  readonly tscKhz: number | undefined;
  /** How long ago the hypervisor took this record's base, in ns. */
  readonly ageNs: number;
}

/** `first`: record 0. `tsc`: read after both records were. */
export function recordReport(vcpu: number, record: Pvti, first: Pvti, tsc: bigint): RecordReport {
  const at = (p: Pvti) => lineAt(tsc, p.tscTimestamp, p.systemTime, p.tscToSystemMul, p.tscShift);
  return {
    vcpu,
    ...record,
    stable: (record.flags & PVCLOCK_TSC_STABLE_BIT) !== 0,
    paused: (record.flags & PVCLOCK_GUEST_STOPPED) !== 0,
    apartNs: Number(BigInt.asIntN(64, at(record) - at(first))),
    tscKhz: tscKhz(record.tscToSystemMul, record.tscShift),
    ageNs: Number(at(record) - record.systemTime),
  };
}
