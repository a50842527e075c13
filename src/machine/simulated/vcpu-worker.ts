/** The thread of one simulated vCPU: it waits out of the guest for what it is to run there. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Reader } from '../../guest/cpu.ts';
import { SimulatedKernel } from './kernel.ts';
import { CLOCK_GETTIME, loadReader, type ReaderSource } from './readers.ts';
import { type ReadingCounts, type Run, readUntilStopped, type StressedReader } from './reading.ts';
import { SimulatedVcpu } from './vcpu.ts';
import { RECORDS_AT, type SimulatedVm } from './vm.ts';

export interface VcpuData {
  readonly vm: SimulatedVm;
  readonly id: number;
}

/** `boot`: ask for the record, and enter once, so that it is written. `time`: ns of one of so many calls. `read`: until stopped. */
export type VcpuRequest =
  | { readonly task: 'boot' }
  | { readonly task: 'time'; readonly reader: ReaderSource; readonly calls: number }
  | { readonly task: 'read'; readonly readers: readonly ReaderSource[]; readonly run: Run };

export interface VcpuReplies {
  readonly boot: true;
  readonly time: number;
  readonly read: readonly ReadingCounts[];
}

const { vm, id } = workerData as VcpuData;
const vcpu = new SimulatedVcpu(vm, id);
/** vCPU 0 keeps the kernel's clocks. */
const kernel = id === 0 ? new SimulatedKernel(vcpu) : undefined;
const readers = new Map<string, Reader>();

parentPort!.on('message', async (request: VcpuRequest) => parentPort!.postMessage(await serve(request)));

async function serve(request: VcpuRequest): Promise<VcpuReplies[VcpuRequest['task']]> {
  switch (request.task) {
    case 'boot':
      vcpu.boot();
      vcpu.enter();
      kernel?.boot();
      vcpu.leave();
      return true;
    case 'time':
      return time(await readerOf(request.reader), request.calls);
    case 'read':
      return readUntilStopped(vcpu, vm, await Promise.all(request.readers.map(stressedOf)), request.run, kernel);
  }
}

/** The same at every request, so that it stays compiled. */
async function readerOf(source: ReaderSource): Promise<Reader> {
  const key = JSON.stringify(source);
  const reader = readers.get(key) ?? (await loadReader(source));
  readers.set(key, reader);
  return reader;
}

async function stressedOf(source: ReaderSource): Promise<StressedReader> {
  return { read: await readerOf(source), clamps: source === CLOCK_GETTIME };
}

function time(reader: Reader, calls: number): number {
  vcpu.enter();
  const start = process.hrtime.bigint();
  for (let i = 0; i < calls; i++) reader(vcpu, RECORDS_AT);
  const elapsed = Number(process.hrtime.bigint() - start);
  vcpu.leave();
  return elapsed / calls;
}
