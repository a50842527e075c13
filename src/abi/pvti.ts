/**
 * struct pvclock_vcpu_time_info: the record that the hypervisor keeps for one vCPU.
 *
 *   ns = systemTime + scale(tsc - tscTimestamp, tscToSystemMul, tscShift)
 *
 * 32 bytes, little-endian. `version` is a sequence count: odd while the hypervisor writes.
 * `tscTimestamp` and `systemTime` (ns) are one instant on both clocks; `tscToSystemMul` is a 0.32
 * fixed-point factor, applied after the delta was shifted left (tscShift > 0) or right (tscShift < 0).
 */
import { decodeStruct, encodeStruct, type Struct } from './struct.ts';

/** Bytes of one record. */
export const PVTI_BYTES = 32;

/** Bytes from one vCPU's record to the next in Linux's array: the record, aligned up to its cache line. */
export const PVTI_SIZE = 64;

/** Records in one page of Linux's array: the page of record 0 shows vCPUs 0..63. */
export const PVTI_PER_PAGE = 4096 / PVTI_SIZE;

/** Set by the hypervisor: all vCPUs' records lie on one line, so any of them may be used and the clamp may be skipped. */
export const PVCLOCK_TSC_STABLE_BIT = 1;

/** Set by the hypervisor when it held the vCPU back; cleared by the guest that has seen it. */
export const PVCLOCK_GUEST_STOPPED = 2;

/** Burnt: it broke the ABI once. Never set it, never give it a meaning. */
export const PVCLOCK_COUNTS_FROM_ZERO = 4;

/** Offset of each field in the record, in bytes. */
export const PVTI = {
  version: 0,
  pad0: 4,
  tscTimestamp: 8,
  systemTime: 16,
  tscToSystemMul: 24,
  tscShift: 28,
  flags: 29,
  pad: 30,
} as const;

/** The fields: type and offset. */
export const PVTI_LAYOUT = {
  version: ['u32', PVTI.version],
  tscTimestamp: ['u64', PVTI.tscTimestamp],
  systemTime: ['u64', PVTI.systemTime],
  tscToSystemMul: ['u32', PVTI.tscToSystemMul],
  tscShift: ['s8', PVTI.tscShift],
  flags: ['u8', PVTI.flags],
} as const;

/**
 * One record. `version`, `tscToSystemMul`: u32; `tscTimestamp` (guest TSC cycles), `systemTime` (ns): u64;
 * `tscShift`: -128..127; `flags`: u8.
 */
export type Pvti = Struct<typeof PVTI_LAYOUT>;

/** Where the record of `vcpu` begins, given where that of vCPU 0 begins. */
export function pvtiAddress(records: number, vcpu: number): number {
  return records + vcpu * PVTI_SIZE;
}

/** The 32 bytes at `offset`, taken apart. It does not look at the version: use a reader where the record is live. */
export function decodePvti(view: DataView, offset = 0): Pvti {
  return decodeStruct(PVTI_LAYOUT, view, offset);
}

/** Writes the record and zeroes its padding. A value that does not fit its field is cut to it, as a C store would. */
export function encodePvti(pvti: Pvti, view: DataView, offset = 0): void {
  view.setUint32(offset + PVTI.pad0, 0, true);
  view.setUint16(offset + PVTI.pad, 0, true);
  encodeStruct(PVTI_LAYOUT, pvti, view, offset);
}
