/** A VM: its memory, its clock, its vCPUs, and which of its MSRs are handed to us instead of KVM. */
import { KVM_CAPABILITIES, type KvmCapability } from '../../abi/kvm-capabilities.ts';
import { KVM_CLOCK_DATA_BYTES, KVM_CLOCK_DATA_LAYOUT, type KvmClockData } from '../../abi/kvm-clock-data.ts';
import {
  KVM_ENABLE_CAP_BYTES,
  KVM_ENABLE_CAP_LAYOUT,
  KVM_MSR_EXIT_REASON_FILTER,
  KVM_MSR_FILTER_BYTES,
  KVM_MSR_FILTER_MAX_RANGES,
  KVM_MSR_FILTER_RANGE_BYTES,
  KVM_MSR_FILTER_RANGE_LAYOUT,
  KVM_MSR_FILTER_RANGES_OFFSET,
  KVM_MSR_FILTER_READ,
  KVM_MSR_FILTER_WRITE,
  KVM_PIT_CONFIG_BYTES,
  KVM_USERSPACE_MEMORY_REGION_BYTES,
  KVM_USERSPACE_MEMORY_REGION_LAYOUT,
} from '../../abi/kvm-structs.ts';
import { decodeStruct, encodeStruct } from '../../abi/struct.ts';
import { Descriptor } from './descriptor.ts';
import type { Kvm } from './kvm.ts';
import { GuestMemory } from './memory.ts';
import { Vcpu } from './vcpu.ts';

/** Three pages that Intel's KVM wants for itself, far above the memory of any guest here. */
const TSS_ADDRESS = 0xfffb_d000n;
const IDENTITY_MAP_ADDRESS = 0xfffb_c000n;

/** `count` MSRs from `first` on. */
export interface MsrRange {
  readonly first: number;
  readonly count: number;
}

export class Vm {
  readonly kvm: Kvm;
  readonly memory: GuestMemory;
  readonly vcpus: Vcpu[] = [];
  readonly #descriptor: Descriptor<'vm'>;

  constructor(kvm: Kvm, memoryBytes: number) {
    this.kvm = kvm;
    this.memory = new GuestMemory(kvm.sys, memoryBytes);
    try {
      this.#descriptor = new Descriptor(kvm.sys, 'vm', kvm.descriptor.call('KVM_CREATE_VM'));
    } catch (error) {
      this.memory.unmap();
      throw error;
    }
    try {
      this.#descriptor.call('KVM_SET_TSS_ADDR', TSS_ADDRESS);
      this.#descriptor.pass('KVM_SET_IDENTITY_MAP_ADDR', 8, (view) => view.setBigUint64(0, IDENTITY_MAP_ADDRESS, true));
      this.#descriptor.pass('KVM_SET_USER_MEMORY_REGION', KVM_USERSPACE_MEMORY_REGION_BYTES, (view) =>
        encodeStruct(
          KVM_USERSPACE_MEMORY_REGION_LAYOUT,
          {
            slot: 0,
            flags: 0,
            guestPhysicalAddress: 0n,
            memoryBytes: BigInt(memoryBytes),
            address: this.memory.address,
          },
          view,
        ),
      );
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The next vCPU; its number is its place in `vcpus`, and its CPUID is all that KVM offers here. */
  createVcpu(): Vcpu {
    const id = this.vcpus.length;
    const vcpu = new Vcpu(this, id, this.#descriptor.call('KVM_CREATE_VCPU', BigInt(id)));
    this.vcpus.push(vcpu);
    return vcpu;
  }

  /** The in-kernel local APICs, IOAPIC, PIC and timer. Before the first vCPU. */
  createIrqchip(): void {
    this.#descriptor.call('KVM_CREATE_IRQCHIP');
    this.#descriptor.pass('KVM_CREATE_PIT2', KVM_PIT_CONFIG_BYTES, () => {});
  }

  /** KVM_ENABLE_CAP with one argument. */
  enableCapability(name: KvmCapability, argument: bigint): void {
    this.#descriptor.pass('KVM_ENABLE_CAP', KVM_ENABLE_CAP_BYTES, (view) =>
      encodeStruct(KVM_ENABLE_CAP_LAYOUT, { capability: KVM_CAPABILITIES[name], flags: 0, argument }, view),
    );
  }

  /** From now on the guest's reads and writes of these MSRs leave KVM_RUN as `rdmsr` and `wrmsr`. */
  takeMsrs(ranges: readonly MsrRange[]): void {
    if (ranges.length > KVM_MSR_FILTER_MAX_RANGES) {
      throw new RangeError(`takeMsrs: at most ${KVM_MSR_FILTER_MAX_RANGES} ranges, got ${ranges.length}`);
    }
    this.enableCapability('KVM_CAP_X86_USER_SPACE_MSR', BigInt(KVM_MSR_EXIT_REASON_FILTER));
    const bitmapBytes = Math.max(...ranges.map(({ count }) => Math.ceil(count / 8)));
    // The bitmap, all clear, stands behind the structure: every range may share it, as a clear bit takes an MSR.
    this.#descriptor.pass('KVM_X86_SET_MSR_FILTER', KVM_MSR_FILTER_BYTES + bitmapBytes, (view, address) => {
      ranges.forEach(({ first, count }, i) => {
        encodeStruct(
          KVM_MSR_FILTER_RANGE_LAYOUT,
          {
            flags: KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
            msrs: count,
            base: first,
            address: address + BigInt(KVM_MSR_FILTER_BYTES),
          },
          view,
          KVM_MSR_FILTER_RANGES_OFFSET + i * KVM_MSR_FILTER_RANGE_BYTES,
        );
      });
    });
  }

  /** The VM's clock now, with the host's real time (ns) and TSC where KVM sampled them together. */
  getClock(): KvmClockData {
    return this.#descriptor.take('KVM_GET_CLOCK', KVM_CLOCK_DATA_BYTES, (view) =>
      decodeStruct(KVM_CLOCK_DATA_LAYOUT, view),
    );
  }

  /** Sets the VM's clock to `clock` ns; what flags mean is KVM's to say: EINVAL where it does not know one. */
  setClock(data: Partial<KvmClockData> & { readonly clock: bigint }): void {
    this.#descriptor.pass('KVM_SET_CLOCK', KVM_CLOCK_DATA_BYTES, (view) =>
      encodeStruct(KVM_CLOCK_DATA_LAYOUT, { flags: 0, pad0: 0, realtime: 0n, hostTsc: 0n, ...data }, view),
    );
  }

  /** Closes the vCPUs and the VM and unmaps the memory. Throws where a thread still runs one of the vCPUs. */
  close(): void {
    const running = this.vcpus.find((vcpu) => vcpu.running);
    if (running !== undefined) throw new Error(`vCPU ${running.id} is still in KVM_RUN: stop its thread first`);
    for (const vcpu of this.vcpus) vcpu.close();
    this.#descriptor?.close();
    this.memory.unmap();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
