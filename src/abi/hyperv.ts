/**
 * Hyper-V's reference TSC page, one for the whole VM, which KVM keeps too for guests that ask for it:
 *
 *   time in 100 ns = ((tsc * scale) >> 64) + offset
 *
 * `sequence` 0 means that the page is not valid and the time must be read from the MSR; any other value changes with every
 * update. (Old texts say that -1 means invalid. It is 0.)
 */
import type { Struct } from './struct.ts';

/** Offset of each field, in bytes; a u32 at 4 is reserved, and the rest of the page too. */
export const HYPERV_TSC_PAGE = { sequence: 0, reserved: 4, scale: 8, offset: 16 } as const;

export const HYPERV_TSC_PAGE_BYTES = 4096;

export const HYPERV_TSC_PAGE_LAYOUT = {
  sequence: ['u32', HYPERV_TSC_PAGE.sequence],
  scale: ['u64', HYPERV_TSC_PAGE.scale],
  offset: ['s64', HYPERV_TSC_PAGE.offset],
} as const;

/** `scale`: 100 ns in a cycle, 0.64 fixed point; `offset`: in 100 ns. */
export type HypervTscPage = Struct<typeof HYPERV_TSC_PAGE_LAYOUT>;

export const HV_REFERENCE_TSC_INVALID = 0;

/** ns in one unit of Hyper-V's time. */
export const HYPERV_UNIT_NS = 100;

/** Reads the VM's time in 100 ns. */
export const HV_X64_MSR_TIME_REF_COUNT = 0x40000020;
/** Payload: guest page number << 12 | 1 to have the page kept. */
export const HV_X64_MSR_REFERENCE_TSC = 0x40000021;
