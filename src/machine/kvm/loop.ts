/**
 * The loop around KVM_RUN, in the vCPU's thread. The kick is free of races:
 *
 *   kicker: 1. says why (STOP, or a request of its service)   2. immediate_exit = 1   3. signals the thread
 *   loop:   1. immediate_exit = 0   2. looks for a reason      3. KVM_RUN
 *
 * A kicker that comes after the look has set immediate_exit after it was cleared, so KVM_RUN returns at once; one that
 * comes before it is seen by the look. Steps 1 and 2 are locked operations, full fences, on either side.
 */
import { KVM_IOCTLS } from '../../abi/kvm-ioctls.ts';
import { decodeExit, KVM_RUN, type KvmExit } from '../../abi/kvm-run.ts';
import { type Sys, SystemCallError } from '../sys.ts';

const EINTR = 4;
const EAGAIN = 11;

/** The words of a thread's control block: Int32Array over a SharedArrayBuffer. */
export const CONTROL = { stop: 0, tid: 1 } as const;
export const CONTROL_BYTES = 8;

/** What a thread must know of the vCPU that it is to run; all of it survives postMessage. */
export interface VcpuHandle {
  readonly id: number;
  readonly fd: number;
  readonly runAddress: bigint;
  readonly runBytes: number;
}

/** What is done with a vCPU's exits in its own thread, while it is out of the guest. */
export interface VcpuService {
  /** Called before each entry. False: something was done that must be looked at again, so go round once more. */
  enter(): boolean;
  /** Called as soon as the vCPU is out, also where nothing but a kick brought it out. */
  leave(): void;
  /** True where the exit is dealt with and the vCPU may go on. `run`: kvm_run, where an answer goes. */
  handle(exit: KvmExit, run: DataView): boolean;
}

/**
 * Runs the vCPU until an exit that nobody here deals with, or until it is told to stop (`interrupted`). Throws
 * SystemCallError where KVM_RUN itself fails.
 */
export function runVcpu(sys: Sys, vcpu: VcpuHandle, control: Int32Array, service?: VcpuService): KvmExit {
  const buffer = sys.view(vcpu.runAddress, vcpu.runBytes);
  const run = new DataView(buffer);
  const bytes = new Uint8Array(buffer);
  const request = BigInt(KVM_IOCTLS.vcpu.KVM_RUN.request);
  const { ioctl } = sys.libc;
  for (;;) {
    Atomics.store(bytes, KVM_RUN.immediateExit, 0);
    if (Atomics.load(control, CONTROL.stop) !== 0) return { reason: 'interrupted' };
    if (service !== undefined && !service.enter()) continue;
    const result = ioctl(vcpu.fd, request, 0n);
    const errno = result < 0 ? sys.errno() : 0;
    service?.leave();
    if (errno === EINTR || errno === EAGAIN) continue; // a kick; or an INIT that this vCPU has just taken
    if (errno !== 0) throw new SystemCallError('KVM_RUN', errno);
    const exit = decodeExit(run);
    if (service?.handle(exit, run) !== true) return exit;
  }
}

/** Makes the thread leave KVM_RUN soon, for a reason that stands in memory already. From any thread. */
export function kickThread(sys: Sys, pid: number, control: Int32Array, run: Uint8Array): void {
  Atomics.store(run, KVM_RUN.immediateExit, 1);
  sys.libc.tgkill(pid, Atomics.load(control, CONTROL.tid), SIGURG);
}

const SIGURG = 23;
