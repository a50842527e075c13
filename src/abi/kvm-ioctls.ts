/**
 * KVM's ioctls, grouped by the file descriptor that takes them: the system's (/dev/kvm), a VM's, a vCPU's. Each row: the
 * number, composed from direction, nr and size, and the capability it stands behind where there is one. What has none is
 * part of KVM since its API became stable (version 12).
 */
import { io, ior, iow, iowr, KVMIO } from './ioctl.ts';
import type { KvmCapability } from './kvm-capabilities.ts';
import { KVM_CLOCK_DATA_BYTES } from './kvm-clock-data.ts';
import {
  KVM_CPUID2_BYTES,
  KVM_DEVICE_ATTR_BYTES,
  KVM_ENABLE_CAP_BYTES,
  KVM_GUEST_DEBUG_BYTES,
  KVM_MP_STATE_BYTES,
  KVM_MSR_FILTER_BYTES,
  KVM_MSRS_BYTES,
  KVM_PIT_CONFIG_BYTES,
  KVM_REGS_BYTES,
  KVM_SREGS_BYTES,
  KVM_USERSPACE_MEMORY_REGION_BYTES,
} from './kvm-structs.ts';

export interface KvmIoctl {
  readonly request: number;
  readonly needs?: KvmCapability;
}

type Table = Readonly<Record<string, KvmIoctl>>;

const row = (request: number, needs?: KvmCapability): KvmIoctl => (needs ? { request, needs } : { request });

/** The API version that every KVM since Linux 2.6.22 answers. */
export const KVM_API_VERSION = 12;

export const KVM_IOCTLS = {
  system: {
    KVM_GET_API_VERSION: row(io(KVMIO, 0x00)),
    KVM_CREATE_VM: row(io(KVMIO, 0x01)),
    KVM_CHECK_EXTENSION: row(io(KVMIO, 0x03)),
    KVM_GET_VCPU_MMAP_SIZE: row(io(KVMIO, 0x04)),
    KVM_GET_SUPPORTED_CPUID: row(iowr(KVMIO, 0x05, KVM_CPUID2_BYTES), 'KVM_CAP_EXT_CPUID'),
  },
  vm: {
    KVM_CREATE_VCPU: row(io(KVMIO, 0x41)),
    KVM_SET_USER_MEMORY_REGION: row(iow(KVMIO, 0x46, KVM_USERSPACE_MEMORY_REGION_BYTES), 'KVM_CAP_USER_MEMORY'),
    KVM_SET_TSS_ADDR: row(io(KVMIO, 0x47), 'KVM_CAP_SET_TSS_ADDR'),
    KVM_SET_IDENTITY_MAP_ADDR: row(iow(KVMIO, 0x48, 8), 'KVM_CAP_SET_IDENTITY_MAP_ADDR'),
    KVM_CREATE_IRQCHIP: row(io(KVMIO, 0x60), 'KVM_CAP_IRQCHIP'),
    KVM_CREATE_PIT2: row(iow(KVMIO, 0x77, KVM_PIT_CONFIG_BYTES), 'KVM_CAP_PIT2'),
    KVM_SET_CLOCK: row(iow(KVMIO, 0x7b, KVM_CLOCK_DATA_BYTES), 'KVM_CAP_ADJUST_CLOCK'),
    KVM_GET_CLOCK: row(ior(KVMIO, 0x7c, KVM_CLOCK_DATA_BYTES), 'KVM_CAP_ADJUST_CLOCK'),
    KVM_ENABLE_CAP: row(iow(KVMIO, 0xa3, KVM_ENABLE_CAP_BYTES), 'KVM_CAP_ENABLE_CAP_VM'),
    KVM_X86_SET_MSR_FILTER: row(iow(KVMIO, 0xc6, KVM_MSR_FILTER_BYTES), 'KVM_CAP_X86_MSR_FILTER'),
  },
  vcpu: {
    KVM_RUN: row(io(KVMIO, 0x80)),
    KVM_GET_REGS: row(ior(KVMIO, 0x81, KVM_REGS_BYTES)),
    KVM_SET_REGS: row(iow(KVMIO, 0x82, KVM_REGS_BYTES)),
    KVM_GET_SREGS: row(ior(KVMIO, 0x83, KVM_SREGS_BYTES)),
    KVM_SET_SREGS: row(iow(KVMIO, 0x84, KVM_SREGS_BYTES)),
    KVM_GET_MSRS: row(iowr(KVMIO, 0x88, KVM_MSRS_BYTES)),
    KVM_SET_MSRS: row(iow(KVMIO, 0x89, KVM_MSRS_BYTES)),
    KVM_SET_CPUID2: row(iow(KVMIO, 0x90, KVM_CPUID2_BYTES), 'KVM_CAP_EXT_CPUID'),
    KVM_GET_MP_STATE: row(ior(KVMIO, 0x98, KVM_MP_STATE_BYTES), 'KVM_CAP_MP_STATE'),
    KVM_SET_MP_STATE: row(iow(KVMIO, 0x99, KVM_MP_STATE_BYTES), 'KVM_CAP_MP_STATE'),
    KVM_SET_GUEST_DEBUG: row(iow(KVMIO, 0x9b, KVM_GUEST_DEBUG_BYTES), 'KVM_CAP_SET_GUEST_DEBUG'),
    KVM_GET_TSC_KHZ: row(io(KVMIO, 0xa3), 'KVM_CAP_GET_TSC_KHZ'),
    KVM_KVMCLOCK_CTRL: row(io(KVMIO, 0xad), 'KVM_CAP_KVMCLOCK_CTRL'),
    KVM_SET_DEVICE_ATTR: row(iow(KVMIO, 0xe1, KVM_DEVICE_ATTR_BYTES), 'KVM_CAP_VCPU_ATTRIBUTES'),
    KVM_GET_DEVICE_ATTR: row(iow(KVMIO, 0xe2, KVM_DEVICE_ATTR_BYTES), 'KVM_CAP_VCPU_ATTRIBUTES'),
  },
} as const satisfies Record<string, Table>;

/** Which of the three descriptors. */
export type KvmDescriptor = keyof typeof KVM_IOCTLS;

/** The ioctls of one descriptor. */
export type KvmIoctlName<D extends KvmDescriptor> = keyof (typeof KVM_IOCTLS)[D] & string;
