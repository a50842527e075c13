/** CPUID leaves by which KVM says which clock it offers. */

export const KVM_CPUID_SIGNATURE = 0x40000000;
export const KVM_CPUID_FEATURES = 0x40000001;

/** EBX, ECX, EDX of the signature leaf: "KVMKVMKVM\0\0\0". */
export const KVM_SIGNATURE = [0x4b4d564b, 0x564b4d56, 0x0000004d] as const;

/** Bit numbers in EAX of the feature leaf. */
export const KVM_FEATURE_CLOCKSOURCE = 0;
export const KVM_FEATURE_CLOCKSOURCE2 = 3;
export const KVM_FEATURE_STEAL_TIME = 5;
export const KVM_FEATURE_MIGRATION_CONTROL = 17;
/** Without it the guest must take every flag of a record as clear. */
export const KVM_FEATURE_CLOCKSOURCE_STABLE_BIT = 24;

/** CPUID leaf 0x80000001 EDX bit 27: RDTSCP. */
export const CPUID_EXTENDED_FEATURES = 0x80000001;
export const CPUID_RDTSCP_BIT = 27;
