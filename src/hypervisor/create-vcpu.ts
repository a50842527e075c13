/** A vCPU comes into being: a rate, a TSC like the others', and a first request for records. */
import { TSC_RATIO_ONE } from '../scale/tsc-ratio.ts';
import { checkVcpuNumber } from './arguments.ts';
import { REQUEST } from './request-bits.ts';
import { request } from './requests.ts';
import { writeTsc } from './tsc.ts';
import { initTscHz } from './tsc-rate.ts';
import { hostTscHz, isCreated, type KvmVm, underLock } from './vm.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from './words.ts';

/**
 * `tscHz`: the rate of its TSC, the host's if not given. Throws RangeError on a vCPU that exists, or that the VM has no room for;
 * ClockError EINVAL on a rate that this host cannot give.
 */
export function createVcpu(vm: KvmVm, vcpu: number, tscHz: bigint | undefined): void {
  const { cpu } = vm;
  checkVcpuNumber(vm.setup.vcpus, vcpu);
  if (isCreated(vm, vcpu)) throw new RangeError(`vCPU ${vcpu}: it exists already`);
  const hostHz = hostTscHz(vm);
  cpu.store64(vcpuWord(vcpu, VCPU_WORDS.tscRatio), TSC_RATIO_ONE);
  if (tscHz !== undefined) initTscHz(vm, vcpu, tscHz);
  else if (hostHz > 0n) initTscHz(vm, vcpu, hostHz); // 0: not known yet, hostRateChanged will tell
  underLock(vm, () => {
    cpu.store32(vcpuWord(vcpu, VCPU_WORDS.created), 1);
    const online = vmWord(VM_WORDS.onlineVcpus);
    cpu.store32(online, cpu.load32(online) + 1);
  });
  writeTsc(vm, vcpu, 0n, 'creation');
  request(cpu, vcpu, REQUEST.GLOBAL_CLOCK_UPDATE, false); // as at its first load onto a processor
}
