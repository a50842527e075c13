/**
 * struct vmclock_abi: a page that tells a guest the real time, its error, and that it was moved or restored.
 *
 *   seconds = timeSec + (timeFracSec + (((tsc - counterValue) * counterPeriodFracSec) >> counterPeriodShift)) / 2^64
 *
 * `seqCount` is a sequence count as a record's version is. Whenever time may have broken off (live migration), the
 * hypervisor changes `disruptionMarker`; whenever the VM may now exist twice (restored snapshot), `vmGenerationCounter`.
 */
import type { Struct } from './struct.ts';

/** "VCLK" */
export const VMCLOCK_MAGIC = 0x4b4c4356;
export const VMCLOCK_VERSION = 1;
export const VMCLOCK_BYTES = 112;

/** Offset of each field, in bytes. */
export const VMCLOCK = {
  magic: 0,
  size: 4,
  version: 8,
  counterId: 10,
  timeType: 11,
  seqCount: 12,
  disruptionMarker: 16,
  flags: 24,
  pad: 32,
  clockStatus: 34,
  smearingHint: 35,
  taiOffsetSec: 36,
  leapIndicator: 38,
  counterPeriodShift: 39,
  counterValue: 40,
  counterPeriodFracSec: 48,
  counterPeriodEsterror: 56,
  counterPeriodMaxerror: 64,
  timeSec: 72,
  timeFracSec: 80,
  timeEsterrorNs: 88,
  timeMaxerrorNs: 96,
  vmGenerationCounter: 104,
} as const;

export const VMCLOCK_LAYOUT = {
  magic: ['u32', VMCLOCK.magic],
  size: ['u32', VMCLOCK.size],
  version: ['u16', VMCLOCK.version],
  counterId: ['u8', VMCLOCK.counterId],
  timeType: ['u8', VMCLOCK.timeType],
  seqCount: ['u32', VMCLOCK.seqCount],
  disruptionMarker: ['u64', VMCLOCK.disruptionMarker],
  flags: ['u64', VMCLOCK.flags],
  clockStatus: ['u8', VMCLOCK.clockStatus],
  smearingHint: ['u8', VMCLOCK.smearingHint],
  taiOffsetSec: ['s16', VMCLOCK.taiOffsetSec],
  leapIndicator: ['u8', VMCLOCK.leapIndicator],
  counterPeriodShift: ['u8', VMCLOCK.counterPeriodShift],
  counterValue: ['u64', VMCLOCK.counterValue],
  counterPeriodFracSec: ['u64', VMCLOCK.counterPeriodFracSec],
  counterPeriodEsterror: ['u64', VMCLOCK.counterPeriodEsterror],
  counterPeriodMaxerror: ['u64', VMCLOCK.counterPeriodMaxerror],
  timeSec: ['u64', VMCLOCK.timeSec],
  timeFracSec: ['u64', VMCLOCK.timeFracSec],
  timeEsterrorNs: ['u64', VMCLOCK.timeEsterrorNs],
  timeMaxerrorNs: ['u64', VMCLOCK.timeMaxerrorNs],
  vmGenerationCounter: ['u64', VMCLOCK.vmGenerationCounter],
} as const;

/** `timeFracSec`: 2^-64 s; `counterPeriodFracSec` and its errors: 2^-(64 + counterPeriodShift) s; `taiOffsetSec`: TAI - UTC. */
export type Vmclock = Struct<typeof VMCLOCK_LAYOUT>;

/** Values of `counterId`. */
export const VMCLOCK_COUNTER = { ARM_VCNT: 0, X86_TSC: 1, INVALID: 0xff } as const;

/** Values of `timeType`. */
export const VMCLOCK_TIME = { UTC: 0, TAI: 1, MONOTONIC: 2 } as const;

/** Values of `clockStatus`: `UNRELIABLE` means that the time must not be used. */
export const VMCLOCK_STATUS = { UNKNOWN: 0, INITIALIZING: 1, SYNCHRONIZED: 2, FREERUNNING: 3, UNRELIABLE: 4 } as const;

/** Values of `leapIndicator`. PRE: at the end of this month; POS: in the second that is inserted; POST: at the end of last month. */
export const VMCLOCK_LEAP = { NONE: 0, PRE_POS: 1, PRE_NEG: 2, POS: 3, POST_POS: 4, POST_NEG: 5 } as const;

/** Bits of `flags`: which fields count, and what is coming. */
export const VMCLOCK_FLAG = {
  TAI_OFFSET_VALID: 1n << 0n,
  /** Within a day. */
  DISRUPTION_SOON: 1n << 1n,
  /** Within an hour. */
  DISRUPTION_IMMINENT: 1n << 2n,
  PERIOD_ESTERROR_VALID: 1n << 3n,
  PERIOD_MAXERROR_VALID: 1n << 4n,
  TIME_ESTERROR_VALID: 1n << 5n,
  TIME_MAXERROR_VALID: 1n << 6n,
  /** The time never steps back while `disruptionMarker` stays. */
  TIME_MONOTONIC: 1n << 7n,
  VM_GEN_COUNTER_PRESENT: 1n << 8n,
  NOTIFICATION_PRESENT: 1n << 9n,
} as const;
