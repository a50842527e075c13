/**
 * Threads of the hypervisor taken apart into their operations: each thread is re-run from its start on the answers it has
 * had, and stopped at the first operation that has none. So a test can let one thread do so many operations, then another.
 */
import type { HostCpu } from '../../src/hypervisor/cpu.ts';

const STOP = { stopped: true };

type Answer = number | bigint | undefined;

export class Thread {
  readonly #memory: HostCpu;
  readonly #run: (cpu: HostCpu) => void;
  readonly #answers: Answer[] = [];
  /** The names of the operations done so far. */
  readonly done: string[] = [];
  finished = false;

  constructor(memory: HostCpu, run: (cpu: HostCpu) => void) {
    this.#memory = memory;
    this.#run = run;
  }

  /** Does `count` operations more, or as many as there are. Barriers and kicks count as operations. */
  step(count = 1): this {
    for (let i = 0; i < count && !this.finished; i++) this.#once();
    return this;
  }

  /** Goes on until `test` holds or the thread is finished; true where it holds. */
  until(test: () => boolean, most = 1000): boolean {
    for (let i = 0; i < most; i++) {
      if (test()) return true;
      if (this.finished) return false;
      this.#once();
    }
    return false;
  }

  #once(): void {
    let at = 0;
    let fresh = false;
    const next = (name: string, act: () => Answer): Answer => {
      if (at < this.#answers.length) return this.#answers[at++];
      if (fresh) throw STOP;
      fresh = true;
      this.done.push(name);
      this.#answers.push(act());
      return this.#answers[at++];
    };
    try {
      this.#run(recorded(this.#memory, next));
      this.finished = true;
    } catch (thrown) {
      if (thrown !== STOP) throw thrown;
    }
  }
}

/** A HostCpu whose every call goes through `next`. A sleep returns at once, as it may: whoever waits looks again. */
function recorded(memory: HostCpu, next: (name: string, act: () => Answer) => Answer): HostCpu {
  const number = (name: string, act: () => number) => next(name, act) as number;
  const big = (name: string, act: () => bigint) => next(name, act) as bigint;
  const nothing = (name: string, act: () => void): void => {
    next(name, () => {
      act();
      return undefined;
    });
  };
  return {
    load32: (address) => number('load32', () => memory.load32(address)),
    load64: (address) => big('load64', () => memory.load64(address)),
    store32: (address, value) => nothing('store32', () => memory.store32(address, value)),
    store64: (address, value) => nothing('store64', () => memory.store64(address, value)),
    writeBarrier: () => {},
    fence: () => {},
    fetchOr32: (address, bits) => number('fetchOr32', () => memory.fetchOr32(address, bits)),
    fetchAndNot32: (address, bits) => number('fetchAndNot32', () => memory.fetchAndNot32(address, bits)),
    exchange32: (address, value) => number('exchange32', () => memory.exchange32(address, value)),
    wait32: () => nothing('wait32', () => {}),
    wake32: () => {},
    kick: (vcpu) => nothing('kick', () => memory.kick(vcpu)),
    hostTsc: () => big('hostTsc', () => memory.hostTsc()),
    hostNs: () => big('hostNs', () => memory.hostNs()),
    relax: () => {},
  };
}
