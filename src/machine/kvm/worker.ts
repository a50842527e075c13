/** The Worker that thread.ts starts: it waits for a vCPU, runs it, and tells how it came out. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { KvmExit } from '../../abi/kvm-run.ts';
import type { KvmRegs } from '../../abi/kvm-structs.ts';
import { pinTo } from '../affinity.ts';
import { isUnavailable, openSys, type Sys, SystemCallError } from '../sys.ts';
import { END } from '../worker-thread.ts';
import { Descriptor } from './descriptor.ts';
import { type DevicesData, openDevices } from './devices.ts';
import { CONTROL, runVcpu, type VcpuHandle, type VcpuService } from './loop.ts';
import { readRegs, setSingleStep, settle, writeRegs } from './registers.ts';
import { type ClockServiceData, clockService } from './service.ts';

export interface WorkerData {
  readonly control: SharedArrayBuffer;
  /** The only host CPU that the thread may run on, where it is not to run on any. */
  readonly cpu?: number | undefined;
}

/** One run of one vCPU, and what its thread deals with itself. */
export interface RunRequest {
  readonly vcpu: VcpuHandle;
  /** Serves the clock in KVM's place. */
  readonly clock?: ClockServiceData | undefined;
  readonly devices?: DevicesData | undefined;
  /** One instruction from these registers on, without any service; the vCPU's own are left as they are. */
  readonly stepFrom?: KvmRegs | undefined;
}

export type RunReply =
  | { readonly exit: KvmExit; readonly regs?: KvmRegs }
  | { readonly failed: { readonly call: string; readonly errno: number } }
  | { readonly broken: string };

/** What the guest prints, while it runs. */
export interface Printed {
  readonly printed: Uint8Array;
}

function run(sys: Sys, control: Int32Array, request: RunRequest, port: MessagePort): RunReply {
  try {
    const { vcpu, stepFrom } = request;
    if (stepFrom !== undefined) return step(sys, vcpu, control, stepFrom);
    return { exit: runVcpu(sys, vcpu, control, serviceOf(sys, request, port)) };
  } catch (error) {
    if (error instanceof SystemCallError) return { failed: { call: error.call, errno: error.errno } };
    return { broken: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** Here and not in the thread that asks, so that KVM does not find the vCPU moved at each step. */
function step(sys: Sys, vcpu: VcpuHandle, control: Int32Array, from: KvmRegs): RunReply {
  const descriptor = new Descriptor(sys, 'vcpu', vcpu.fd); // the Vcpu's, who closes it
  settle(descriptor, new DataView(sys.view(vcpu.runAddress, vcpu.runBytes)));
  const own = readRegs(descriptor);
  writeRegs(descriptor, from);
  setSingleStep(descriptor, true);
  try {
    return { exit: runVcpu(sys, vcpu, control), regs: readRegs(descriptor) };
  } finally {
    setSingleStep(descriptor, false);
    writeRegs(descriptor, own);
  }
}

function serviceOf(sys: Sys, { vcpu, clock, devices }: RunRequest, port: MessagePort): VcpuService | undefined {
  if (clock === undefined && devices === undefined) return undefined;
  const clocks = clock && clockService(sys, clock, vcpu.id);
  const serve = devices && openDevices(devices, (printed) => port.postMessage({ printed } satisfies Printed));
  return {
    enter: () => clocks?.enter() ?? true,
    leave: () => clocks?.leave(),
    handle: (exit, page) => clocks?.handle(exit, page) === true || serve?.(exit, page) === true,
  };
}

function serve(port: MessagePort): void {
  const sys = openSys();
  if (isUnavailable(sys)) throw new Error(sys.unavailable); // the thread that started us has opened it
  const data = workerData as WorkerData;
  const control = new Int32Array(data.control);
  if (data.cpu !== undefined) pinTo(sys, data.cpu);
  Atomics.store(control, CONTROL.tid, sys.libc.gettid());
  port.on('message', (request: RunRequest | typeof END) => {
    if (request === END) port.close();
    else port.postMessage(run(sys, control, request, port));
  });
  port.postMessage('ready');
}

if (parentPort !== null) serve(parentPort);
