/** One thread of the simulated machine, as its owner sees it: a request, an answer, one at a time, each within a deadline. */
import type { Worker } from 'node:worker_threads';
import { startWorker } from '../worker-thread.ts';

export class SimulatedThread {
  readonly #name: string;
  readonly #worker: Worker;
  /** Its exit status, once it has ended. */
  #ended: number | undefined;

  /** `name`: the worker's file, without its ending. The thread holds the process until `close`. */
  constructor(name: string, workerData: object) {
    this.#name = name;
    this.#worker = startWorker(name, import.meta.url, { workerData });
    this.#worker.once('exit', (code) => {
      this.#ended = code;
    });
  }

  /** The thread's answer. Rejects where it fails, ends, or does not answer within `deadlineMs`: close it then. */
  ask<Reply>(request: object, deadlineMs: number): Promise<Reply> {
    const worker = this.#worker;
    if (this.#ended !== undefined) return Promise.reject(this.#endedWith(this.#ended));
    return new Promise((resolve, reject) => {
      const done = (settle: () => void): void => {
        clearTimeout(timer);
        worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        settle();
      };
      const onMessage = (reply: Reply): void => done(() => resolve(reply));
      const onError = (error: unknown): void => done(() => reject(error));
      const onExit = (code: number): void => done(() => reject(this.#endedWith(code)));
      const timer = setTimeout(
        () => done(() => reject(new Error(`${this.#name}: no answer within ${deadlineMs} ms`))),
        deadlineMs,
      );
      worker.once('message', onMessage).once('error', onError).once('exit', onExit);
      worker.postMessage(request);
    });
  }

  #endedWith(code: number): Error {
    return new Error(`${this.#name}: the thread ended with ${code} before it answered`);
  }

  /** Ends the thread, whatever it is doing. */
  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
