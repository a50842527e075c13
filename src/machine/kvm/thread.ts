/**
 * Threads that run vCPUs. One thread runs one vCPU at a time, as long as KVM_RUN takes; the thread that owns it stays
 * free, and can kick the vCPU out at any moment. A thread may run another vCPU, also another VM's, when that one is out.
 *
 * No guest can hold the process: every run has a deadline, and at the process's exit all vCPUs are kicked out, because
 * Node waits for a Worker that sits in a system call.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, type Worker } from 'node:worker_threads';
import type { KvmExit } from '../../abi/kvm-run.ts';
import type { KvmRegs } from '../../abi/kvm-structs.ts';
import { type Sys, SystemCallError } from '../sys.ts';
import { endWorker, startWorker } from '../worker-thread.ts';
import { CONTROL, CONTROL_BYTES, kickThread } from './loop.ts';
import type { KickTarget } from './service.ts';
import type { Vcpu } from './vcpu.ts';
import type { Printed, RunReply, RunRequest, WorkerData } from './worker.ts';

const KICK_SIGNAL = 'SIGURG';
const DEFAULT_DEADLINE_MS = 30_000;
const STOP_MS = 5_000;

/** A guest that did not do what it was run for. */
export class GuestError extends Error {
  override readonly name = 'GuestError';
}

/** How a vCPU is run, and what its thread deals with itself. */
export interface RunOptions extends Omit<RunRequest, 'vcpu' | 'stepFrom'> {
  /** It is kicked out after this long; 30 s by default. */
  readonly deadlineMs?: number | undefined;
  /** Takes what the guest prints, where `devices` are served. */
  readonly print?: (bytes: Uint8Array) => void;
}

/** How a run came out. */
type Came = Extract<RunReply, { exit: KvmExit }>;

/** A run under way. */
interface Run {
  readonly vcpu: Vcpu;
  readonly print: ((bytes: Uint8Array) => void) | undefined;
  readonly bytes: Uint8Array;
  readonly settle: (reply: RunReply | Error) => void;
}

const threads = new Set<VcpuThread>();
const ignoreKick = (): void => {};
const stopAll = (): void => {
  for (const thread of threads) thread.kick();
};

/**
 * The signal only has to interrupt a system call, which it does where it has a handler. This one is ignored otherwise, so one
 * that comes late hurts nobody, and unlike SIGUSR2 it means nothing to Node.
 */
function register(thread: VcpuThread): void {
  if (threads.size === 0) {
    process.on(KICK_SIGNAL, ignoreKick);
    process.on('exit', stopAll);
  }
  threads.add(thread);
}

function unregister(thread: VcpuThread): void {
  threads.delete(thread);
  if (threads.size > 0) return;
  process.off(KICK_SIGNAL, ignoreKick);
  process.off('exit', stopAll);
}

export class VcpuThread {
  readonly #sys: Sys;
  readonly #worker: Worker;
  readonly #control: Int32Array;
  #run: Run | undefined;
  #ended: Error | undefined;

  private constructor(sys: Sys, worker: Worker, control: Int32Array) {
    this.#sys = sys;
    this.#worker = worker;
    this.#control = control;
  }

  /** For the main thread. Starts the thread, on host CPU `cpu` alone where one is named; it is ready when the promise is. */
  static async start(sys: Sys, cpu?: number): Promise<VcpuThread> {
    if (!isMainThread)
      throw new Error('vCPUs can be run from the main thread alone: no other can have a signal handled');
    const control = new SharedArrayBuffer(CONTROL_BYTES);
    const worker = startWorker('worker', import.meta.url, { workerData: { control, cpu } satisfies WorkerData });
    const thread = new VcpuThread(sys, worker, new Int32Array(control));
    register(thread);
    try {
      await new Promise<void>((resolve, reject) => {
        worker.once('message', () => resolve());
        worker.once('error', reject);
      });
    } catch (error) {
      unregister(thread);
      throw error;
    }
    worker.removeAllListeners('error');
    worker.on('message', (reply: RunReply | Printed) => {
      if ('printed' in reply) thread.#run?.print?.(reply.printed);
      else thread.#run?.settle(reply);
    });
    worker.on('error', (error) => thread.#end(error instanceof Error ? error : new Error(String(error))));
    worker.on('exit', () => thread.#end(new Error('the thread has ended')));
    worker.unref();
    return thread;
  }

  /**
   * Runs `vcpu`, its clock served by `options.clock` or else by KVM, until an exit that its thread does not deal with, or until `kick` (`interrupted`). Rejects with GuestError
   * where it is not out by the deadline (it is kicked out then), with SystemCallError where KVM_RUN fails.
   */
  async run(vcpu: Vcpu, options: RunOptions = {}): Promise<KvmExit> {
    return (await this.#exchange(vcpu, options)).exit;
  }

  /**
   * Runs one instruction on `vcpu` from the registers `from` on, and answers how they are behind it; the vCPU's own registers are as
   * they were. Rejects with GuestError where the instruction cannot be run so.
   */
  async step(vcpu: Vcpu, from: KvmRegs): Promise<KvmRegs> {
    const { exit, regs } = await this.#exchange(vcpu, {}, from);
    // A KVM without hardware's help may give the trap to the guest, which has no handler: a triple fault, behind the instruction.
    const isStepped = exit.reason === 'debug' || (exit.reason === 'shutdown' && regs!.rip !== from.rip);
    if (!isStepped) throw new GuestError(`vCPU ${vcpu.id}: a single step ended with ${exit.reason}`);
    return regs!;
  }

  async #exchange(vcpu: Vcpu, options: RunOptions, stepFrom?: KvmRegs): Promise<Came> {
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#run !== undefined) throw new Error(`this thread is still running vCPU ${this.#run.vcpu.id}`);
    if (vcpu.running) throw new Error(`vCPU ${vcpu.id} is running on another thread`);
    Atomics.store(this.#control, CONTROL.stop, 0);
    const { id, fd, runAddress, runBytes } = vcpu;
    const reply = await this.#ask(vcpu, { vcpu: { id, fd, runAddress, runBytes }, stepFrom }, options);
    if (reply instanceof Error) throw reply;
    if ('failed' in reply) throw new SystemCallError(reply.failed.call, reply.failed.errno);
    if ('broken' in reply) throw new Error(`vCPU ${vcpu.id}'s thread: ${reply.broken}`);
    return reply;
  }

  #ask(vcpu: Vcpu, request: RunRequest, options: RunOptions): Promise<RunReply | Error> {
    const { deadlineMs = DEFAULT_DEADLINE_MS, clock, devices, print } = options;
    return new Promise((resolve) => {
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        this.kick();
      }, deadlineMs);
      const settle = (reply: RunReply | Error): void => {
        clearTimeout(timer);
        vcpu.running = false;
        this.#run = undefined;
        this.#worker.unref();
        const stillIn = late && 'exit' in reply && reply.exit.reason === 'interrupted';
        resolve(
          stillIn ? new GuestError(`vCPU ${vcpu.id} did not come out of the guest within ${deadlineMs} ms`) : reply,
        );
      };
      vcpu.running = true;
      this.#run = { vcpu, print, bytes: new Uint8Array(vcpu.run.buffer), settle };
      this.#worker.ref();
      this.#worker.postMessage({ ...request, clock, devices } satisfies RunRequest);
    });
  }

  /** What another thread must know to kick `vcpu` while this one runs it. */
  kickTarget(vcpu: Vcpu): KickTarget {
    return { control: this.#control.buffer as SharedArrayBuffer, runAddress: vcpu.runAddress, runBytes: vcpu.runBytes };
  }

  /** Brings the vCPU that it runs out of the guest; nothing where it runs none. Does not wait. */
  kick(): void {
    if (this.#run === undefined) return;
    Atomics.store(this.#control, CONTROL.stop, 1); // the reason, before the kick
    kickThread(this.#sys, process.pid, this.#control, this.#run.bytes);
  }

  /** Kicks its vCPU out and waits until it is: a run under way ends as `interrupted`. */
  async stop(): Promise<void> {
    this.kick();
    while (this.#run !== undefined) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Stops and ends the thread, also where it sleeps in a lock that nobody will release. */
  async close(): Promise<void> {
    await Promise.race([this.stop(), sleep(STOP_MS, undefined, { ref: false })]);
    await endWorker(this.#worker, this.#run === undefined ? STOP_MS : 0);
    unregister(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#run?.settle(error);
  }
}
