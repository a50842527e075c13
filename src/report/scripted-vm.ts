/** A VM whose vCPUs all keep their records, on a host whose time is told to move: what happens to it is exact, and can be had again. */
import { MSR_KVM_SYSTEM_TIME_NEW } from '../abi/msr.ts';
import { decodePvti, PVTI_SIZE, type Pvti } from '../abi/pvti.ts';
import { createKvm, type KvmHypervisor, type KvmOptions } from '../hypervisor/kvm.ts';
import { ScriptedHost, type ScriptedHostOptions } from '../hypervisor/scripted-host.ts';
import { createWords, sharedMemory } from '../hypervisor/shared-memory.ts';

export interface ScriptedVm {
  readonly host: ScriptedHost;
  readonly hypervisor: KvmHypervisor;
  record(vcpu: number): Pvti;
  /** Every vCPU in and out of the guest, one after the other, so that each record is written. */
  runAll(): void;
}

export function scriptedVm(
  host: ScriptedHostOptions,
  vcpus: number,
  options: Pick<KvmOptions, 'flavour' | 'tscHz' | 'tscScaling'> = {},
): ScriptedVm {
  const hostClock = new ScriptedHost(host);
  const guest = new SharedArrayBuffer(vcpus * PVTI_SIZE);
  const memory = sharedMemory({ memory: guest, words: createWords(vcpus), hostClock });
  const hypervisor = createKvm({ ...options, memory, vcpus, hostClock });
  const view = new DataView(guest);
  const runAll = () => {
    for (let vcpu = 0; vcpu < vcpus; vcpu++) {
      hypervisor.enter(vcpu);
      hypervisor.leave(vcpu);
    }
  };
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    hypervisor.wrmsr(vcpu, MSR_KVM_SYSTEM_TIME_NEW, BigInt(vcpu * PVTI_SIZE) | 1n);
  }
  runAll();
  runAll(); // the first asks for records that the second writes
  return { host: hostClock, hypervisor, record: (vcpu) => decodePvti(view, vcpu * PVTI_SIZE), runAll };
}
