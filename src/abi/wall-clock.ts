/**
 * struct pvclock_wall_clock, 12 bytes: the UTC instant at which this VM's clock read zero, so that
 * wall time = epoch + system time. `sec` is a u32: dates from 1970 to 2106, unless the platform keeps
 * a high word elsewhere (Xen's `wc_sec_hi` in its shared_info page).
 */
import type { Struct } from './struct.ts';

export const WALL_CLOCK_BYTES = 12;

/** Offset of each field, in bytes. */
export const WALL_CLOCK = { version: 0, sec: 4, nsec: 8 } as const;

export const WALL_CLOCK_LAYOUT = {
  version: ['u32', WALL_CLOCK.version],
  sec: ['u32', WALL_CLOCK.sec],
  nsec: ['u32', WALL_CLOCK.nsec],
} as const;

export type WallClock = Struct<typeof WALL_CLOCK_LAYOUT>;
