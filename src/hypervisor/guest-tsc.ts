/** The TSC as a guest's vCPU shows it, made from the host's: scaled, then offset. */
import { scaleTsc } from '../scale/tsc-ratio.ts';
import type { HostCpu } from './cpu.ts';
import type { VmSetup } from './policy.ts';
import { TIME_SCALE_CATCH_UP, VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from './words.ts';

/** What `vcpu`'s TSC shows when the host's shows `hostTsc`. */
export function guestTsc(cpu: HostCpu, setup: VmSetup, vcpu: number, hostTsc: bigint): bigint {
  const offset = cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscOffset));
  return BigInt.asUintN(64, scaledTsc(cpu, setup, vcpu, hostTsc) + offset);
}

/** The same before the offset. */
export function scaledTsc(cpu: HostCpu, setup: VmSetup, vcpu: number, hostTsc: bigint): bigint {
  return setup.tscScaling ? scaleTsc(hostTsc, cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscRatio))) : hostTsc;
}

/** Bumps `vcpu`'s TSC by `cycles`, mod 2^64. */
export function moveTsc(cpu: HostCpu, vcpu: number, cycles: bigint): void {
  const offset = vcpuWord(vcpu, VCPU_WORDS.tscOffset);
  cpu.store64(offset, BigInt.asUintN(64, cpu.load64(offset) + cycles));
}

/** A pair in a word: bits 0..31 mul, 32..39 shift. */
export function packScale(scale: { readonly mul: number; readonly shift: number }): bigint {
  return (BigInt.asUintN(8, BigInt(scale.shift)) << 32n) | BigInt(scale.mul);
}

export function mulOf(packed: bigint): number {
  return Number(packed & 0xffffffffn);
}

export function shiftOf(packed: bigint): number {
  return Number(BigInt.asIntN(8, packed >> 32n));
}

/** The pair and ratio that the VM's records use, noted for `clockAt`: those of `vcpu`. */
export function noteLine(cpu: HostCpu, vcpu: number): void {
  const timeScale = cpu.load64(vcpuWord(vcpu, VCPU_WORDS.timeScale));
  cpu.store64(vmWord(VM_WORDS.lineScale), timeScale & ~TIME_SCALE_CATCH_UP);
  cpu.store64(vmWord(VM_WORDS.lineRatio), cpu.load64(vcpuWord(vcpu, VCPU_WORDS.tscRatio)));
}
