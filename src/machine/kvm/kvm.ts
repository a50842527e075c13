/**
 * /dev/kvm, the first of KVM's three types: Kvm makes Vms, a Vm makes Vcpus, and each owns one file descriptor. Whoever
 * opens closes; closing a Vm closes its Vcpus and unmaps its memory.
 */
import { KVM_CAPABILITIES, type KvmCapability } from '../../abi/kvm-capabilities.ts';
import { KVM_API_VERSION } from '../../abi/kvm-ioctls.ts';
import {
  KVM_CPUID_ENTRY_BYTES,
  KVM_CPUID_ENTRY_LAYOUT,
  KVM_CPUID2_BYTES,
  type KvmCpuidEntry,
} from '../../abi/kvm-structs.ts';
import { decodeStruct } from '../../abi/struct.ts';
import { isUnavailable, O_CLOEXEC, O_RDWR, openSys, type Sys, SystemCallError, type Unavailable } from '../sys.ts';
import { Descriptor } from './descriptor.ts';
import { Vm } from './vm.ts';

const KVM_DEVICE = '/dev/kvm';

/** What every VM of this project stands on. */
const NEEDED: readonly KvmCapability[] = [
  'KVM_CAP_USER_MEMORY',
  'KVM_CAP_EXT_CPUID',
  'KVM_CAP_ADJUST_CLOCK',
  'KVM_CAP_IMMEDIATE_EXIT',
];

const MAX_CPUID_ENTRIES = 256;

/** Opens /dev/kvm. Where it cannot be used: the reason on one line, with what to do. */
export function openKvm(device = KVM_DEVICE): Kvm | Unavailable {
  const sys = openSys();
  if (isUnavailable(sys)) return { unavailable: `no KVM machine: ${sys.unavailable}` };
  const fd = sys.libc.open(device, O_RDWR | O_CLOEXEC);
  if (fd < 0) return { unavailable: whyNotOpen(device, new SystemCallError('open', sys.errno()).code) };
  const descriptor = new Descriptor(sys, 'system', fd);
  try {
    const kvm = new Kvm(descriptor);
    const lacking = kvm.lacking(NEEDED);
    if (lacking === undefined) return kvm;
    kvm.close();
    return lacking;
  } catch (error) {
    descriptor.close();
    if (error instanceof SystemCallError) return { unavailable: `${device} is not KVM's device: ${error.message}` };
    throw error;
  }
}

function whyNotOpen(device: string, code: string): string {
  if (code === 'ENOENT') return `${device} does not exist: load the kvm_intel or kvm_amd module, or enable nesting`;
  if (code === 'EACCES' || code === 'EPERM')
    return `${device} may not be opened (${code}): run as root or join the group that owns it`;
  if (code === 'ENODEV' || code === 'ENXIO')
    return `${device} has no hypervisor behind it (${code}): enable virtualisation in the firmware`;
  return `${device} cannot be opened: ${code}`;
}

export class Kvm {
  readonly descriptor: Descriptor<'system'>;
  /** Bytes of the area that a vCPU's descriptor maps: kvm_run and what follows it. */
  readonly runBytes: number;

  constructor(descriptor: Descriptor<'system'>) {
    this.descriptor = descriptor;
    const version = descriptor.call('KVM_GET_API_VERSION');
    if (version !== KVM_API_VERSION) {
      throw new Error(`KVM_GET_API_VERSION: KVM speaks version ${version}, this program ${KVM_API_VERSION}`);
    }
    this.runBytes = descriptor.call('KVM_GET_VCPU_MMAP_SIZE');
  }

  get sys(): Sys {
    return this.descriptor.sys;
  }

  /** What KVM_CHECK_EXTENSION answers: 0 where there is no such capability. */
  capability(name: KvmCapability): number {
    return this.descriptor.call('KVM_CHECK_EXTENSION', BigInt(KVM_CAPABILITIES[name]));
  }

  /** The reason, where one of `names` is missing. */
  lacking(names: readonly KvmCapability[]): Unavailable | undefined {
    const missing = names.filter((name) => this.capability(name) === 0);
    if (missing.length === 0) return undefined;
    return { unavailable: `this host's KVM lacks ${missing.join(', ')}: a newer kernel or other hardware is needed` };
  }

  /** The CPUID leaves that a guest may be given here, the hypervisor's own (0x4000_0000..) among them. */
  supportedCpuid(): KvmCpuidEntry[] {
    const bytes = KVM_CPUID2_BYTES + MAX_CPUID_ENTRIES * KVM_CPUID_ENTRY_BYTES;
    return this.descriptor.pass(
      'KVM_GET_SUPPORTED_CPUID',
      bytes,
      (view) => view.setUint32(0, MAX_CPUID_ENTRIES, true),
      (view) =>
        Array.from({ length: view.getUint32(0, true) }, (_, i) =>
          decodeStruct(KVM_CPUID_ENTRY_LAYOUT, view, KVM_CPUID2_BYTES + i * KVM_CPUID_ENTRY_BYTES),
        ),
    );
  }

  /** A VM with `memoryBytes` of zeroed memory from guest-physical address 0 on; a multiple of the page size. */
  createVm(memoryBytes: number): Vm {
    return new Vm(this, memoryBytes);
  }

  close(): void {
    this.descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
