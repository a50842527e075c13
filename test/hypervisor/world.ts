/** A VM in this process: a scripted host, guest memory, the hypervisor over them, and the guest's side to read with. */

import { MSR_KVM_SYSTEM_TIME_NEW } from '../../src/abi/msr.ts';
import { decodePvti, PVTI_SIZE, type Pvti } from '../../src/abi/pvti.ts';
import { lineAt } from '../../src/guest/sequence.ts';
import type { HostCpu } from '../../src/hypervisor/cpu.ts';
import type { AddressReport, Stability } from '../../src/hypervisor/events.ts';
import { createKvm, type KvmHypervisor, type KvmOptions } from '../../src/hypervisor/kvm.ts';
import { ScriptedHost, type ScriptedHostOptions } from '../../src/hypervisor/scripted-host.ts';
import { type BoundedMemory, createWords, sharedMemory } from '../../src/hypervisor/shared-memory.ts';

export const RECORDS = 4096;
export const MEMORY_BYTES = 65536;

export interface World {
  readonly host: ScriptedHost;
  readonly guest: DataView;
  readonly memory: HostCpu & BoundedMemory;
  readonly hypervisor: KvmHypervisor;
  readonly kicks: number[];
  readonly stability: Stability[];
  readonly badAddresses: AddressReport[];
  /** The vCPU's record as it stands. */
  record(vcpu: number): Pvti;
  /** What `vcpu`'s guest makes of `record`, its own if not given, now. */
  clock(vcpu: number, record?: number): bigint;
  /** Enters and leaves every vCPU, in order. */
  runAll(): void;
  run(vcpu: number): void;
}

export interface WorldOptions extends Omit<Partial<KvmOptions>, 'memory' | 'hostClock' | 'tscHz'> {
  /** 2 GHz if not given. */
  readonly hostHz?: bigint;
  readonly guestHz?: bigint;
  /** Where the host's clocks start. */
  readonly start?: Partial<ScriptedHostOptions>;
  /** Every vCPU has asked for its record and run twice, unless false. */
  readonly enabled?: boolean;
}

export function world(options: WorldOptions = {}): World {
  const { vcpus = 2, enabled = true, hostHz = 2_000_000_000n, guestHz, start, ...kvmOptions } = options;
  const host = new ScriptedHost({ tsc: 5_000_000n, ns: 700_000n, ...start, tscHz: hostHz });
  const buffer = new SharedArrayBuffer(MEMORY_BYTES);
  const guest = new DataView(buffer);
  const kicks: number[] = [];
  const stability: Stability[] = [];
  const badAddresses: AddressReport[] = [];
  const kick = (vcpu: number) => void kicks.push(vcpu);
  const memory = sharedMemory({ memory: buffer, words: createWords(vcpus), hostClock: host, kick });
  const events = {
    stability: (reason: Stability) => void stability.push(reason),
    badAddress: (report: AddressReport) => void badAddresses.push(report),
  };
  const rate = guestHz === undefined ? {} : { tscHz: guestHz };
  const hypervisor = createKvm({ events, ...kvmOptions, ...rate, memory, vcpus, hostClock: host });
  const record = (vcpu: number) => decodePvti(guest, RECORDS + vcpu * PVTI_SIZE);
  const run = (vcpu: number) => {
    hypervisor.enter(vcpu);
    hypervisor.leave(vcpu);
  };
  const runAll = () => {
    for (let vcpu = 0; vcpu < (options.created ?? vcpus); vcpu++) run(vcpu);
  };
  const made: World = {
    host,
    guest,
    memory,
    hypervisor,
    kicks,
    stability,
    badAddresses,
    record,
    clock(vcpu, from = vcpu) {
      const { tscTimestamp, systemTime, tscToSystemMul, tscShift } = record(from);
      return lineAt(hypervisor.readTsc(vcpu), tscTimestamp, systemTime, tscToSystemMul, tscShift);
    },
    run,
    runAll,
  };
  if (enabled) {
    for (let vcpu = 0; vcpu < (options.created ?? vcpus); vcpu++) enable(made, vcpu);
    runAll();
    runAll();
  }
  return made;
}

export function enable(made: World, vcpu: number): void {
  made.hypervisor.wrmsr(vcpu, MSR_KVM_SYSTEM_TIME_NEW, BigInt(RECORDS + vcpu * PVTI_SIZE) | 1n);
}
