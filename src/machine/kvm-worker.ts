/** The Worker that kvm-thread.ts starts: it waits for a vCPU, runs it, and tells how it came out. */
import { parentPort, workerData } from 'node:worker_threads';
import type { KvmExit } from '../abi/kvm-run.ts';
import { pinTo } from './affinity.ts';
import { CONTROL, runVcpu, type VcpuHandle } from './kvm-loop.ts';
import { type ClockServiceData, clockService } from './kvm-service.ts';
import { isUnavailable, openSys, type Sys, SystemCallError } from './sys.ts';

export interface WorkerData {
  readonly control: SharedArrayBuffer;
  /** The only host CPU that the thread may run on, where it is not to run on any. */
  readonly cpu?: number | undefined;
}

/** One run of one vCPU. */
export interface RunRequest {
  readonly vcpu: VcpuHandle;
  /** Serves the clock in KVM's place, where it is to. */
  readonly clock?: ClockServiceData | undefined;
}

export type RunReply =
  | { readonly exit: KvmExit }
  | { readonly failed: { readonly call: string; readonly errno: number } }
  | { readonly broken: string };

function run(sys: Sys, control: Int32Array, request: RunRequest): RunReply {
  try {
    const { vcpu, clock } = request;
    return { exit: runVcpu(sys, vcpu, control, clock && clockService(sys, clock, vcpu.id)) };
  } catch (error) {
    if (error instanceof SystemCallError) return { failed: { call: error.call, errno: error.errno } };
    return { broken: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

function serve(port: NonNullable<typeof parentPort>): void {
  const sys = openSys();
  if (isUnavailable(sys)) throw new Error(sys.unavailable); // the thread that started us has opened it
  const data = workerData as WorkerData;
  const control = new Int32Array(data.control);
  if (data.cpu !== undefined) pinTo(sys, data.cpu);
  Atomics.store(control, CONTROL.tid, sys.libc.gettid());
  port.on('message', (request: RunRequest) => port.postMessage(run(sys, control, request)));
  port.postMessage('ready');
}

if (parentPort !== null) serve(parentPort);
