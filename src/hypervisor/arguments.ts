/**
 * What the calls of a VM are given, looked at before anything is touched: behind a lock or a freeze nothing may throw, as
 * nobody would lift it. Each throws a RangeError that names the argument and what it may be.
 */
import type { HostCpu } from './cpu.ts';
import { isCreated, type KvmVm } from './vm.ts';
import { VCPU_WORDS, vcpuWord } from './words.ts';

/** Memory with the words of a VM of `vcpus`. */
export function checkMemory(memory: HostCpu, vcpus: number): void {
  if (!Number.isInteger(vcpus) || vcpus < 1) throw new RangeError(`vcpus: a VM has 1 or more, not ${vcpus}`);
  if (typeof memory?.load32 !== 'function')
    throw new RangeError('memory: give what sharedMemory() makes, or a HostCpu');
  memory.load32(vcpuWord(vcpus - 1, VCPU_WORDS.requests)); // fails where there are too few words
}

/** A number that a vCPU of this VM has, whether it exists or not. */
export function checkVcpuNumber(vcpus: number, vcpu: number): void {
  if (Number.isInteger(vcpu) && vcpu >= 0 && vcpu < vcpus) return;
  throw new RangeError(`vCPU ${vcpu}: this VM has vCPUs 0 to ${vcpus - 1}`);
}

/** A vCPU that exists. Returns it. */
export function existing(vm: KvmVm, vcpu: number): number {
  checkVcpuNumber(vm.setup.vcpus, vcpu);
  if (!isCreated(vm, vcpu)) throw new RangeError(`vCPU ${vcpu}: it does not exist yet, createVcpu() makes it`);
  return vcpu;
}

/** A u64, which nothing would cut. Returns it. */
export function u64Of(name: string, value: bigint | undefined): bigint {
  if (typeof value === 'bigint' && value >= 0n && value < 1n << 64n) return value;
  throw new RangeError(`${name}: ${String(value)} is not a bigint from 0 to 2^64-1`);
}
