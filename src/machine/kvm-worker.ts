/** The Worker that kvm-thread.ts starts: it waits for a vCPU, runs it, and tells how it came out. */
import { parentPort, workerData } from 'node:worker_threads';
import type { KvmExit } from '../abi/kvm-run.ts';
import { CONTROL, runVcpu, type VcpuHandle } from './kvm-loop.ts';
import { isUnavailable, openSys, type Sys, SystemCallError } from './sys.ts';

export interface WorkerData {
  readonly control: SharedArrayBuffer;
  /** The only host CPU that the thread may run on, where it is not to run on any. */
  readonly cpu?: number | undefined;
}

/** One run of one vCPU. */
export interface RunRequest {
  readonly vcpu: VcpuHandle;
}

export type RunReply =
  | { readonly exit: KvmExit }
  | { readonly failed: { readonly call: string; readonly errno: number } }
  | { readonly broken: string };

function run(sys: Sys, control: Int32Array, request: RunRequest): RunReply {
  try {
    return { exit: runVcpu(sys, request.vcpu, control) };
  } catch (error) {
    if (error instanceof SystemCallError) return { failed: { call: error.call, errno: error.errno } };
    return { broken: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

const AFFINITY_WORDS = 16;

/** This thread alone. */
function pin(sys: Sys, cpu: number): void {
  const mask = new BigUint64Array(AFFINITY_WORDS);
  mask[cpu >> 6] = 1n << BigInt(cpu & 63);
  const result = sys.libc.sched_setaffinity(0, BigInt(mask.byteLength), sys.ffi.getRawPointer(mask));
  sys.check(`sched_setaffinity to CPU ${cpu}`, result);
}

function serve(port: NonNullable<typeof parentPort>): void {
  const sys = openSys();
  if (isUnavailable(sys)) throw new Error(sys.unavailable); // the thread that started us has opened it
  const data = workerData as WorkerData;
  const control = new Int32Array(data.control);
  if (data.cpu !== undefined) pin(sys, data.cpu);
  Atomics.store(control, CONTROL.tid, sys.libc.gettid());
  port.on('message', (request: RunRequest) => port.postMessage(run(sys, control, request)));
  port.postMessage('ready');
}

if (parentPort !== null) serve(parentPort);
