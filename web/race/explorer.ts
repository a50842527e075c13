/** A worker that explores one configuration after the other, and can be stopped in the middle of one. */
import type { Configuration } from '../../src/checker/scenarios.ts';
import { startWorker } from '../worker.ts';
import type { Answer, TimedVerdict } from './check-worker.ts';

export class Explorer {
  #worker: Worker | undefined;
  #stop: (() => void) | undefined;

  /** The verdict; undefined where it was stopped. Rejects where the configuration is none. */
  explore(
    configuration: Configuration,
    onProgress: (states: number, expanded: number) => void = () => {},
  ): Promise<TimedVerdict | undefined> {
    this.stop();
    this.#worker ??= startWorker('./check-worker.js', import.meta.url);
    const worker = this.#worker;
    return new Promise((resolve, reject) => {
      this.#stop = () => resolve(undefined);
      worker.onerror = (event) => reject(new Error(event.message || 'the checker cannot be loaded'));
      worker.onmessage = ({ data }: MessageEvent<Answer>) => {
        if ('states' in data) return onProgress(data.states, data.expanded);
        this.#stop = undefined;
        if ('verdict' in data) resolve(data.verdict);
        else reject(new Error(data.failed));
      };
      worker.postMessage(configuration);
    });
  }

  /** Ends it for good: its thread and its memory are given back. */
  end(): void {
    this.stop();
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  /** Ends what is being explored; the next begins in a new worker. */
  stop(): void {
    if (this.#stop === undefined) return;
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#stop();
    this.#stop = undefined;
  }
}
