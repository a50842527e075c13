/**
 * The model-specific registers that tell KVM where a vCPU's record and the VM's wall clock are.
 * The old and the new number of a register are two names of one state.
 */

/** Payload: guest-physical address of a pvclock_wall_clock, 4-byte aligned. Written once at the WRMSR; 0 is ignored. */
export const MSR_KVM_WALL_CLOCK = 0x11;
export const MSR_KVM_WALL_CLOCK_NEW = 0x4b564d00;

/** Payload: guest-physical address of this vCPU's record, 4-byte aligned, with bit 0 = enable. */
export const MSR_KVM_SYSTEM_TIME = 0x12;
export const MSR_KVM_SYSTEM_TIME_NEW = 0x4b564d01;

/** Bit 0 of the system-time MSR: the record is to be kept. Any value without it stops the updates. */
export const KVM_MSR_ENABLED = 1;

export const MSR_IA32_TSC = 0x10;
export const MSR_IA32_TSC_ADJUST = 0x3b;
