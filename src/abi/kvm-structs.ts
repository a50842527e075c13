/**
 * The structures that KVM's ioctls take and give, on x86-64: fields and sizes only. `address` fields are addresses in
 * this process, `guest...` fields addresses in the guest's memory; both are u64.
 */
import type { Struct } from './struct.ts';

export const KVM_USERSPACE_MEMORY_REGION_BYTES = 32;
export const KVM_USERSPACE_MEMORY_REGION_LAYOUT = {
  slot: ['u32', 0],
  flags: ['u32', 4],
  guestPhysicalAddress: ['u64', 8],
  memoryBytes: ['u64', 16],
  address: ['u64', 24],
} as const;

export const KVM_REGS_BYTES = 144;
export const KVM_REGS_LAYOUT = {
  rax: ['u64', 0],
  rbx: ['u64', 8],
  rcx: ['u64', 16],
  rdx: ['u64', 24],
  rsi: ['u64', 32],
  rdi: ['u64', 40],
  rsp: ['u64', 48],
  rbp: ['u64', 56],
  r8: ['u64', 64],
  r9: ['u64', 72],
  r10: ['u64', 80],
  r11: ['u64', 88],
  r12: ['u64', 96],
  r13: ['u64', 104],
  r14: ['u64', 112],
  r15: ['u64', 120],
  rip: ['u64', 128],
  rflags: ['u64', 136],
} as const;
/** The general registers, all u64. */
export type KvmRegs = Struct<typeof KVM_REGS_LAYOUT>;

/** kvm_guest_debug: control, padding, eight debug registers. */
export const KVM_GUEST_DEBUG_BYTES = 72;
export const KVM_GUESTDBG_ENABLE = 1;
export const KVM_GUESTDBG_SINGLESTEP = 2;

export const KVM_SEGMENT_BYTES = 24;
export const KVM_SEGMENT_LAYOUT = {
  base: ['u64', 0],
  limit: ['u32', 8],
  selector: ['u16', 12],
  type: ['u8', 14],
  present: ['u8', 15],
  dpl: ['u8', 16],
  db: ['u8', 17],
  s: ['u8', 18],
  l: ['u8', 19],
  g: ['u8', 20],
  avl: ['u8', 21],
  unusable: ['u8', 22],
} as const;
/** A segment register with what the processor keeps of its descriptor. `limit` is in bytes, whatever `g` says. */
export type KvmSegment = Struct<typeof KVM_SEGMENT_LAYOUT>;

export const KVM_SREGS_BYTES = 312;
/** Offset of each segment register in kvm_sregs. */
export const KVM_SREGS_SEGMENTS = { cs: 0, ds: 24, es: 48, fs: 72, gs: 96, ss: 120, tr: 144, ldt: 168 } as const;
/** The rest of kvm_sregs: the two descriptor tables and the control registers. */
export const KVM_SREGS_LAYOUT = {
  gdtBase: ['u64', 192],
  gdtLimit: ['u16', 200],
  idtBase: ['u64', 208],
  idtLimit: ['u16', 216],
  cr0: ['u64', 224],
  cr2: ['u64', 232],
  cr3: ['u64', 240],
  cr4: ['u64', 248],
  cr8: ['u64', 256],
  efer: ['u64', 264],
  apicBase: ['u64', 272],
} as const;
export type KvmSregs = Struct<typeof KVM_SREGS_LAYOUT> & Record<keyof typeof KVM_SREGS_SEGMENTS, KvmSegment>;

/** Header of kvm_msrs (u32 count, u32 padding); entries of 16 bytes follow. */
export const KVM_MSRS_BYTES = 8;
export const KVM_MSR_ENTRY_BYTES = 16;
export const KVM_MSR_ENTRY_LAYOUT = { index: ['u32', 0], data: ['u64', 8] } as const;

/** Header of kvm_cpuid2 (u32 count, u32 padding); entries of 40 bytes follow. */
export const KVM_CPUID2_BYTES = 8;
export const KVM_CPUID_ENTRY_BYTES = 40;
export const KVM_CPUID_ENTRY_LAYOUT = {
  function: ['u32', 0],
  index: ['u32', 4],
  flags: ['u32', 8],
  eax: ['u32', 12],
  ebx: ['u32', 16],
  ecx: ['u32', 20],
  edx: ['u32', 24],
} as const;
export type KvmCpuidEntry = Struct<typeof KVM_CPUID_ENTRY_LAYOUT>;

export const KVM_ENABLE_CAP_BYTES = 104;
export const KVM_ENABLE_CAP_LAYOUT = { capability: ['u32', 0], flags: ['u32', 4], argument: ['u64', 8] } as const;

export const KVM_PIT_CONFIG_BYTES = 64;

export const KVM_MP_STATE_BYTES = 4;
export const KVM_MP_STATE_RUNNABLE = 0;
export const KVM_MP_STATE_UNINITIALIZED = 1;
export const KVM_MP_STATE_HALTED = 3;

export const KVM_DEVICE_ATTR_BYTES = 24;
export const KVM_DEVICE_ATTR_LAYOUT = {
  flags: ['u32', 0],
  group: ['u32', 4],
  attribute: ['u64', 8],
  address: ['u64', 16],
} as const;
/** The vCPU attribute that holds guest TSC - host TSC, as a u64 mod 2^64. */
export const KVM_VCPU_TSC_CTRL = 0;
export const KVM_VCPU_TSC_OFFSET = 0;

/** u32 flags, then at 8 sixteen ranges of 24 bytes; a range without MSRs is unused. */
export const KVM_MSR_FILTER_BYTES = 392;
export const KVM_MSR_FILTER_RANGES_OFFSET = 8;
export const KVM_MSR_FILTER_RANGE_BYTES = 24;
/** `base`: first MSR; `address` of a bitmap in this process: a clear bit hands the access to user space. */
export const KVM_MSR_FILTER_RANGE_LAYOUT = {
  flags: ['u32', 0],
  msrs: ['u32', 4],
  base: ['u32', 8],
  address: ['u64', 16],
} as const;
export const KVM_MSR_FILTER_MAX_RANGES = 16;
export const KVM_MSR_FILTER_READ = 1;
export const KVM_MSR_FILTER_WRITE = 2;
/** Argument bits of KVM_CAP_X86_USER_SPACE_MSR: which accesses leave KVM_RUN. */
export const KVM_MSR_EXIT_REASON_INVAL = 1;
export const KVM_MSR_EXIT_REASON_UNKNOWN = 2;
export const KVM_MSR_EXIT_REASON_FILTER = 4;
