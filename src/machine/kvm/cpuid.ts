/** The CPUID that a vCPU of ours is given: what KVM offers, with the vCPU's own number, and our clock where we keep it. */
import { KVM_CPUID_FEATURES, KVM_CPUID_SIGNATURE } from '../../abi/cpuid.ts';
import type { KvmCpuidEntry } from '../../abi/kvm-structs.ts';
import type { CpuidLeaf } from '../../hypervisor/cpuid.ts';
import { CLOCK_FEATURES } from '../../hypervisor/vm.ts';

const BASIC = 1;
const APIC_ID_SHIFT = 24;
const TOPOLOGY = [0xb, 0x1f];

/** `leaf`: our hypervisor's own leaves; the features that have nothing to do with the clock stay KVM's. */
export function vcpuCpuid(
  supported: readonly KvmCpuidEntry[],
  vcpu: number,
  leaf: (number: number) => CpuidLeaf | undefined = () => undefined,
): KvmCpuidEntry[] {
  return supported.map((entry) => {
    if (entry.function === BASIC) return { ...entry, ebx: ((entry.ebx & 0xff_ffff) | (vcpu << APIC_ID_SHIFT)) >>> 0 };
    if (TOPOLOGY.includes(entry.function)) return { ...entry, edx: vcpu };
    const own = leaf(entry.function);
    if (own === undefined) return entry;
    if (entry.function === KVM_CPUID_SIGNATURE) return { ...entry, ebx: own.ebx, ecx: own.ecx, edx: own.edx };
    if (entry.function === KVM_CPUID_FEATURES)
      return { ...entry, eax: ((entry.eax & ~CLOCK_FEATURES) | own.eax) >>> 0 };
    return entry;
  });
}
