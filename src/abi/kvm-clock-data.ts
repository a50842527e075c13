/** struct kvm_clock_data (48 bytes) and the ioctls of the VM and vCPU file descriptors that move the clock. */
import { io, ior, iow, KVMIO } from './ioctl.ts';
import type { Struct } from './struct.ts';

export const KVM_CLOCK_DATA_BYTES = 48;

export const KVM_CLOCK_DATA_LAYOUT = {
  clock: ['u64', 0],
  flags: ['u32', 8],
  pad0: ['u32', 12],
  realtime: ['u64', 16],
  hostTsc: ['u64', 24],
} as const;

/** `clock`, `realtime`: ns; `hostTsc`: cycles. */
export type KvmClockData = Struct<typeof KVM_CLOCK_DATA_LAYOUT>;

export const KVM_CLOCK_TSC_STABLE = 2;
export const KVM_CLOCK_REALTIME = 4;
export const KVM_CLOCK_HOST_TSC = 8;
export const KVM_CLOCK_VALID_FLAGS = KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;

export const KVM_SET_CLOCK = iow(KVMIO, 0x7b, KVM_CLOCK_DATA_BYTES);
export const KVM_GET_CLOCK = ior(KVMIO, 0x7c, KVM_CLOCK_DATA_BYTES);
export const KVM_KVMCLOCK_CTRL = io(KVMIO, 0xad);
