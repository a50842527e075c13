/** What stands in a vCPU's words `requests` and `mode`. */

/** The bits of `requests`, at KVM's own numbers. Any bit that is set keeps the vCPU out of the guest. */
export const REQUEST = {
  /** Write this vCPU's record. */
  CLOCK_UPDATE: 1 << 4,
  /** Take the VM-wide copy anew. */
  MASTERCLOCK_UPDATE: 1 << 13,
  /** The copy is being written: never taken by the vCPU, it stands until the updater clears it. */
  MCLOCK_INPROGRESS: 1 << 14,
  /** Ask every vCPU for a new record. */
  GLOBAL_CLOCK_UPDATE: 1 << 16,
  /** Ours; comes with CLOCK_UPDATE only: tell the guest in its record that it was stopped. */
  GUEST_STOPPED: 1 << 20,
} as const;

export const OUTSIDE_GUEST_MODE = 0;
export const IN_GUEST_MODE = 1;
