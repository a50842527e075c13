/** What the counter of warps and its threads agree on. */

/** `shared`: u32 how many are ready, u32 how many there are, u64 the latest time given. */
export interface WarpTask {
  readonly shared: SharedArrayBuffer;
  readonly cpu: number;
  readonly count: number;
}

export const READY = 0;
export const EXPECTED = 1;
export const LATEST_AT = 8;
export const SHARED_BYTES = 16;
