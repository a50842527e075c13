/** The Worker that kvm-thread.ts starts: it waits for a vCPU, runs it, and tells how it came out. */
import { parentPort, workerData } from 'node:worker_threads';
import type { KvmExit } from '../abi/kvm-run.ts';
import { CONTROL, runVcpu, type VcpuHandle } from './kvm-loop.ts';
import { isUnavailable, openSys, type Sys, SystemCallError } from './sys.ts';

export interface WorkerData {
  readonly control: SharedArrayBuffer;
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

function serve(port: NonNullable<typeof parentPort>): void {
  const sys = openSys();
  if (isUnavailable(sys)) throw new Error(sys.unavailable); // the thread that started us has opened it
  const control = new Int32Array((workerData as WorkerData).control);
  Atomics.store(control, CONTROL.tid, sys.libc.gettid());
  port.on('message', (request: RunRequest) => port.postMessage(run(sys, control, request)));
  port.postMessage('ready');
}

if (parentPort !== null) serve(parentPort);
