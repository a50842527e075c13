/** A VM of nothing but words and records: for the functions that the run loop, the freeze and the update are. */
import { decodePvti, PVTI_SIZE, type Pvti } from '../../src/abi/pvti.ts';
import type { HostCpu } from '../../src/hypervisor/cpu.ts';
import type { MasterCopy } from '../../src/hypervisor/master-copy.ts';
import { POLICIES, type Policy, type VmSetup } from '../../src/hypervisor/policy.ts';
import { enter, leave } from '../../src/hypervisor/requests.ts';
import { createWords, sharedMemory } from '../../src/hypervisor/shared-memory.ts';
import { updateMasterClock } from '../../src/hypervisor/update.ts';
import { VCPU_WORDS, vcpuWord } from '../../src/hypervisor/words.ts';

/** 1 GHz: a cycle is a nanosecond. */
const ONE_GHZ = (1n << 32n) | 0x8000_0000n;

export interface BareVm {
  readonly memory: HostCpu;
  readonly setup: VmSetup;
  readonly kicks: number[];
  record(vcpu: number): Pvti;
  requests(vcpu: number): number;
  mode(vcpu: number): number;
}

/** All records are kept, at the copy of `lineAt(0)`, and no request is left. */
export function bareVm(policy: Partial<Policy> = {}, vcpus = 2): BareVm {
  const kicks: number[] = [];
  const buffer = new SharedArrayBuffer(vcpus * PVTI_SIZE + 64);
  const hostClock = { tsc: () => 777n, ns: () => 888n };
  const kick = (vcpu: number) => void kicks.push(vcpu);
  const memory = sharedMemory({ memory: buffer, words: createWords(vcpus), hostClock, kick });
  const setup: VmSetup = { vcpus, policy: { ...POLICIES.kvmclock, ...policy }, tscScaling: false };
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    memory.store64(vcpuWord(vcpu, VCPU_WORDS.record), BigInt(vcpu * PVTI_SIZE) | 1n);
    memory.store64(vcpuWord(vcpu, VCPU_WORDS.timeScale), ONE_GHZ);
  }
  updateMasterClock(memory, setup, () => copyAt(0n));
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    enter(memory, setup, vcpu, () => copyAt(0n));
    leave(memory, vcpu);
  }
  kicks.length = 0;
  return {
    memory,
    setup,
    kicks,
    record: (vcpu) => decodePvti(new DataView(buffer), vcpu * PVTI_SIZE),
    requests: (vcpu) => memory.load32(vcpuWord(vcpu, VCPU_WORDS.requests)),
    mode: (vcpu) => memory.load32(vcpuWord(vcpu, VCPU_WORDS.mode)),
  };
}

/** A stable copy whose every word is told apart by `n`. */
export function copyAt(n: bigint): MasterCopy {
  return {
    useMasterClock: true,
    masterKernelNs: 1000n + n,
    masterCycleNow: 1_000_000n + n,
    kvmclockOffset: 50_000_000n * n,
  };
}

/** What a record made of it holds. */
export function lineOf(copy: MasterCopy): Pick<Pvti, 'tscTimestamp' | 'systemTime'> {
  return { tscTimestamp: copy.masterCycleNow, systemTime: copy.masterKernelNs + copy.kvmclockOffset };
}

export function lineIn({ tscTimestamp, systemTime }: Pvti): Pick<Pvti, 'tscTimestamp' | 'systemTime'> {
  return { tscTimestamp, systemTime };
}
