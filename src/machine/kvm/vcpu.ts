/**
 * A vCPU seen from outside: registers, MSRs, TSC offset, CPUID, and the page that it shares with KVM. Any thread may call
 * these while the vCPU is out of KVM_RUN; while it is in there, KVM makes them wait. Who runs it is thread.ts.
 */
import { decodeExit, type KvmExit } from '../../abi/kvm-run.ts';
import {
  KVM_CPUID_ENTRY_BYTES,
  KVM_CPUID_ENTRY_LAYOUT,
  KVM_CPUID2_BYTES,
  KVM_DEVICE_ATTR_BYTES,
  KVM_DEVICE_ATTR_LAYOUT,
  KVM_MP_STATE_BYTES,
  KVM_MSR_ENTRY_BYTES,
  KVM_MSR_ENTRY_LAYOUT,
  KVM_MSRS_BYTES,
  KVM_SEGMENT_LAYOUT,
  KVM_SREGS_BYTES,
  KVM_SREGS_LAYOUT,
  KVM_SREGS_SEGMENTS,
  KVM_VCPU_TSC_CTRL,
  KVM_VCPU_TSC_OFFSET,
  type KvmCpuidEntry,
  type KvmRegs,
  type KvmSregs,
} from '../../abi/kvm-structs.ts';
import { decodeStruct, encodeStruct } from '../../abi/struct.ts';
import { MAP_SHARED, PROT_READ, PROT_WRITE } from '../sys.ts';
import { Descriptor } from './descriptor.ts';
import { readRegs, settle, writeRegs } from './registers.ts';
import type { Vm } from './vm.ts';

const SEGMENTS = Object.entries(KVM_SREGS_SEGMENTS);
/** Room behind the device attribute for its value, in the same block. */
const ATTRIBUTE_VALUE_OFFSET = 32;

export class Vcpu {
  readonly id: number;
  readonly vm: Vm;
  readonly fd: number;
  /** Where kvm_run is in this process. */
  readonly runAddress: bigint;
  readonly runBytes: number;
  /** True from the moment a thread is told to run it until it is out again. Kept by that thread's owner. */
  running = false;
  readonly #descriptor: Descriptor<'vcpu'>;
  #run: DataView | undefined;

  constructor(vm: Vm, id: number, fd: number) {
    const { sys, runBytes } = vm.kvm;
    this.vm = vm;
    this.id = id;
    this.fd = fd;
    this.runBytes = runBytes;
    this.#descriptor = new Descriptor(sys, 'vcpu', fd);
    try {
      this.runAddress = sys.check(
        'mmap of kvm_run',
        sys.libc.mmap(0n, BigInt(runBytes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0n),
      );
    } catch (error) {
      this.#descriptor.close();
      throw error;
    }
    this.#run = new DataView(sys.view(this.runAddress, runBytes));
  }

  /** kvm_run and the data behind it. Throws where the vCPU is closed. */
  get run(): DataView {
    if (this.#run === undefined) throw new Error(`vCPU ${this.id} is closed`);
    return this.#run;
  }

  /** The exit that KVM left in kvm_run. */
  exit(): KvmExit {
    return decodeExit(this.run);
  }

  regs(): KvmRegs {
    return readRegs(this.#descriptor);
  }

  setRegs(regs: KvmRegs): void {
    writeRegs(this.#descriptor, regs);
  }

  sregs(): KvmSregs {
    return this.#descriptor.take('KVM_GET_SREGS', KVM_SREGS_BYTES, (view) => ({
      ...decodeStruct(KVM_SREGS_LAYOUT, view),
      ...(Object.fromEntries(SEGMENTS.map(([name, at]) => [name, decodeStruct(KVM_SEGMENT_LAYOUT, view, at)])) as Pick<
        KvmSregs,
        keyof typeof KVM_SREGS_SEGMENTS
      >),
    }));
  }

  /** Pending interrupts, which kvm_sregs carries too, are cleared. */
  setSregs(sregs: KvmSregs): void {
    this.#descriptor.pass('KVM_SET_SREGS', KVM_SREGS_BYTES, (view) => {
      encodeStruct(KVM_SREGS_LAYOUT, sregs, view);
      for (const [name, at] of SEGMENTS) {
        encodeStruct(KVM_SEGMENT_LAYOUT, sregs[name as keyof typeof KVM_SREGS_SEGMENTS], view, at);
      }
    });
  }

  /** The MSR's value. Throws where KVM has no such MSR. */
  msr(index: number): bigint {
    return this.#descriptor.pass(
      'KVM_GET_MSRS',
      KVM_MSRS_BYTES + KVM_MSR_ENTRY_BYTES,
      (view) => fillMsr(view, index, 0n),
      (view, done) => {
        if (done !== 1) throw new Error(`KVM_GET_MSRS: no MSR 0x${index.toString(16)} here`);
        return decodeStruct(KVM_MSR_ENTRY_LAYOUT, view, KVM_MSRS_BYTES).data;
      },
    );
  }

  /** Sets it as a host does who restores a guest, which KVM tells apart from the guest's own WRMSR. */
  setMsr(index: number, data: bigint): void {
    this.#descriptor.pass(
      'KVM_SET_MSRS',
      KVM_MSRS_BYTES + KVM_MSR_ENTRY_BYTES,
      (view) => fillMsr(view, index, data),
      (_, done) => {
        if (done !== 1) throw new Error(`KVM_SET_MSRS: MSR 0x${index.toString(16)} refuses 0x${data.toString(16)}`);
      },
    );
  }

  setCpuid(entries: readonly KvmCpuidEntry[]): void {
    this.#descriptor.pass('KVM_SET_CPUID2', KVM_CPUID2_BYTES + entries.length * KVM_CPUID_ENTRY_BYTES, (view) => {
      view.setUint32(0, entries.length, true);
      entries.forEach((entry, i) => {
        encodeStruct(KVM_CPUID_ENTRY_LAYOUT, entry, view, KVM_CPUID2_BYTES + i * KVM_CPUID_ENTRY_BYTES);
      });
    });
  }

  setMpState(state: number): void {
    this.#descriptor.pass('KVM_SET_MP_STATE', KVM_MP_STATE_BYTES, (view) => view.setUint32(0, state, true));
  }

  tscKhz(): number {
    return this.#descriptor.call('KVM_GET_TSC_KHZ');
  }

  /** Guest TSC - host TSC, mod 2^64. */
  tscOffset(): bigint {
    return this.#tscOffset('KVM_GET_DEVICE_ATTR', 0n);
  }

  setTscOffset(offset: bigint): void {
    this.#tscOffset('KVM_SET_DEVICE_ATTR', offset);
  }

  #tscOffset(name: 'KVM_GET_DEVICE_ATTR' | 'KVM_SET_DEVICE_ATTR', offset: bigint): bigint {
    return this.#descriptor.pass(
      name,
      KVM_DEVICE_ATTR_BYTES,
      (view, block) => {
        const address = block + BigInt(ATTRIBUTE_VALUE_OFFSET);
        const attribute = BigInt(KVM_VCPU_TSC_OFFSET);
        encodeStruct(KVM_DEVICE_ATTR_LAYOUT, { flags: 0, group: KVM_VCPU_TSC_CTRL, attribute, address }, view);
        view.setBigUint64(ATTRIBUTE_VALUE_OFFSET, offset, true);
      },
      (view) => view.getBigUint64(ATTRIBUTE_VALUE_OFFSET, true),
    );
  }

  /** Asks KVM to tell the guest that it was stopped: the flag appears in the record at the next KVM_RUN, not before. */
  kvmclockCtrl(): void {
    this.#descriptor.call('KVM_KVMCLOCK_CTRL');
  }

  /** See registers.ts: to be called before the registers are changed. */
  settle(): void {
    settle(this.#descriptor, this.run);
  }

  /** The Vm calls this. */
  close(): void {
    if (this.#run === undefined) return;
    this.#run = undefined;
    this.vm.kvm.sys.libc.munmap(this.runAddress, BigInt(this.runBytes));
    this.#descriptor.close();
  }
}

function fillMsr(view: DataView, index: number, data: bigint): void {
  view.setUint32(0, 1, true);
  encodeStruct(KVM_MSR_ENTRY_LAYOUT, { index, data }, view, KVM_MSRS_BYTES);
}
