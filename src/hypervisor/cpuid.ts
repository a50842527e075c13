/** The CPUID leaves that tell a guest of this clock; a VMM adds them to what it shows. */
import { KVM_CPUID_FEATURES, KVM_CPUID_SIGNATURE, KVM_SIGNATURE } from '../abi/cpuid.ts';
import type { KvmVm } from './vm.ts';

/** What CPUID answers: u32 each. */
export interface CpuidLeaf {
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

/** Leaf 0x40000000, the signature, or 0x40000001, the features; undefined for any other. */
export function cpuidLeaf(vm: KvmVm, leaf: number): CpuidLeaf | undefined {
  const [ebx, ecx, edx] = KVM_SIGNATURE;
  if (leaf === KVM_CPUID_SIGNATURE) return { eax: KVM_CPUID_FEATURES, ebx, ecx, edx };
  if (leaf === KVM_CPUID_FEATURES) return { eax: vm.features >>> 0, ebx: 0, ecx: 0, edx: 0 };
  return undefined;
}
