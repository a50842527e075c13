/**
 * What is done to a vCPU's registers while it is out of the guest. Each goes by an ioctl of the vCPU, for which KVM loads it
 * on the processor of whoever asks: from another thread than the vCPU's own, a later entry finds it moved.
 */
import { KVM_RUN } from '../../abi/kvm-run.ts';
import {
  KVM_GUEST_DEBUG_BYTES,
  KVM_GUESTDBG_ENABLE,
  KVM_GUESTDBG_SINGLESTEP,
  KVM_REGS_BYTES,
  KVM_REGS_LAYOUT,
  type KvmRegs,
} from '../../abi/kvm-structs.ts';
import { decodeStruct, encodeStruct } from '../../abi/struct.ts';
import { SystemCallError } from '../sys.ts';
import type { Descriptor } from './descriptor.ts';

export function readRegs(vcpu: Descriptor<'vcpu'>): KvmRegs {
  return vcpu.take('KVM_GET_REGS', KVM_REGS_BYTES, (view) => decodeStruct(KVM_REGS_LAYOUT, view));
}

export function writeRegs(vcpu: Descriptor<'vcpu'>, regs: KvmRegs): void {
  vcpu.pass('KVM_SET_REGS', KVM_REGS_BYTES, (view) => encodeStruct(KVM_REGS_LAYOUT, regs, view));
}

/** Has each run end behind one instruction, or no longer. */
export function setSingleStep(vcpu: Descriptor<'vcpu'>, on: boolean): void {
  vcpu.pass('KVM_SET_GUEST_DEBUG', KVM_GUEST_DEBUG_BYTES, (view) => {
    view.setUint32(0, on ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP : 0, true);
  });
}

/**
 * Lets KVM finish the exit that it is in the middle of (an OUT, an answered RDMSR) without running guest code: only then
 * do the registers stand behind that instruction. To be called by whoever is about to change them. `run`: kvm_run.
 */
export function settle(vcpu: Descriptor<'vcpu'>, run: DataView): void {
  run.setUint8(KVM_RUN.immediateExit, 1);
  try {
    vcpu.call('KVM_RUN');
  } catch (error) {
    if (!(error instanceof SystemCallError && error.code === 'EINTR')) throw error;
  } finally {
    run.setUint8(KVM_RUN.immediateExit, 0);
  }
}
