/** What publishing costs from TypeScript: one record, and one update of a VM with all its records, by the number of vCPUs. */
import { PVTI_SIZE } from '../abi/pvti.ts';
import { type PvtiBody, publishToday } from '../hypervisor/publish.ts';
import { createWords, sharedMemory } from '../hypervisor/shared-memory.ts';
import { type ScriptedVm, scriptedVm } from './scripted-vm.ts';
import { type Contender, interleaved, type Spread } from './statistics.ts';

export interface PublishCost {
  /** ns to publish one record. */
  readonly publishNs: Spread;
  readonly updates: readonly UpdateCost[];
}

export interface UpdateCost {
  readonly vcpus: number;
  /** ns in which the VM is held out of the guest: the new copy, and record 0. */
  readonly updateNs: Spread;
  /** ns until every vCPU has its record, served one after the other. */
  readonly allRecordsNs: Spread;
  /** Median of `allRecordsNs` for one vCPU: the same for any number of them where the cost is linear. */
  readonly nsPerVcpu: number;
}

export const UPDATE_SIZES: readonly number[] = [1, 16, 64, 256, 1024];

/** A small VM is updated more than once a round, so that its code is as warm as a large one's. */
const VCPUS_A_ROUND = 1024;
const RECORDS = 64;
const BODY: PvtiBody = {
  tscTimestamp: 1n << 40n,
  systemTime: 1n << 41n,
  tscToSystemMul: 0xcccc_cccc,
  tscShift: -1,
  flags: 1,
};

/** `calls`: records published a round. `onRound` is told how far it is. */
export function publishCost(rounds: number, calls: number, onRound?: (done: number, of: number) => void): PublishCost {
  const contenders: Contender[] = [{ name: 'publish', run: publishing(calls) }];
  for (const vcpus of UPDATE_SIZES) {
    const vm = scriptedVm({ tscHz: 2_500_000_000n }, vcpus);
    const times = Math.ceil(VCPUS_A_ROUND / vcpus);
    contenders.push({ name: `update ${vcpus}`, run: () => mean(times, () => vm.hypervisor.refresh()) });
    contenders.push({ name: `records ${vcpus}`, run: () => mean(times, () => refreshAndRun(vm)) });
  }
  const times = interleaved(contenders, rounds, Math.max(20, rounds), onRound);
  const updates = UPDATE_SIZES.map((vcpus) => {
    const allRecordsNs = times.get(`records ${vcpus}`)!;
    return { vcpus, updateNs: times.get(`update ${vcpus}`)!, allRecordsNs, nsPerVcpu: allRecordsNs.median / vcpus };
  });
  return { publishNs: times.get('publish')!, updates };
}

function publishing(calls: number): () => number {
  const hostClock = { tsc: () => 0n, ns: () => 0n };
  const memory = sharedMemory({ memory: new SharedArrayBuffer(RECORDS * PVTI_SIZE), words: createWords(1), hostClock });
  return () => mean(calls, (call) => publishToday(memory, (call % RECORDS) * PVTI_SIZE, BODY));
}

/** One update, and every vCPU in and out of the guest, so that each record is written. */
export function refreshAndRun(vm: Pick<ScriptedVm, 'hypervisor' | 'runAll'>): void {
  vm.hypervisor.refresh();
  vm.runAll();
}

/** ns of one of `times` runs. */
function mean(times: number, run: (index: number) => void): number {
  const start = process.hrtime.bigint();
  for (let index = 0; index < times; index++) run(index);
  return Number(process.hrtime.bigint() - start) / times;
}
