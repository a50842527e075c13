/**
 * Which operations are of no concern to anybody else, so that a thread may do them in one step with the operation before.
 *
 * An operation on a cell is private where no other thread can tell when it is done: a load of what no other thread stores, a
 * store of what no other thread loads or stores. It commutes with all that others ever do, and no property looks at it, so
 * exploring it at one moment only loses nothing. Under TSO every store is private: it only goes into its own buffer.
 *
 * What a thread does in memory of its own is always done with the operation before: no other thread is concerned, and where
 * a call uses what it has read is where it read that, not where it copies it. This is part of the model, not of its reduction.
 *
 * Who touches what is learnt on the way, as operations turn up. Where one turns out not to be private after all, what was
 * explored so far is void, and the search begins again with what it knows by then.
 */
import type { Cells } from './cells.ts';
import { KIND, type Operation, type Operations } from './operations.ts';
import type { Steps } from './reductions.ts';
import type { Scenario } from './scenario.ts';

export class Visibility {
  /** Set where an operation was taken for private and is not. */
  outdated = false;
  /** By operation and thread: 1 private, 2 not, 0 not asked yet. */
  #known: Uint8Array;
  /** By operation and thread, done right before the guest is entered: in one step with the one before, or a step of its own. */
  readonly #enteredWith = new Set<number>();
  readonly #entering = new Set<number>();
  /** By vCPU: the cells that it is told by as it enters. */
  readonly #toldBy: readonly (readonly number[])[];
  readonly #earlyLoads: boolean;
  readonly #threads: number;
  readonly #cells: Cells;
  readonly #operations: Operations;
  readonly #buffered: boolean;
  readonly #stillTime: boolean;
  readonly #steps: Steps;
  #readsAnyTime = false;
  readonly #loads: Int32Array;
  readonly #stores: Int32Array;
  /** 1 for a cell that was taken for one thread's own. */
  readonly #owned: Uint8Array;

  constructor(scenario: Scenario, cells: Cells, operations: Operations, steps: Steps) {
    const threads = scenario.hosts.length + scenario.others.length + scenario.guests.length;
    this.#cells = cells;
    this.#operations = operations;
    this.#threads = threads;
    this.#buffered = scenario.memory === 'tso';
    this.#stillTime = scenario.ticks === 0;
    this.#steps = steps;
    this.#toldBy = scenario.ownRecords.map((own) => Object.values({ ...own }));
    this.#earlyLoads = scenario.early !== undefined;
    this.#known = new Uint8Array(1024 * threads);
    this.#loads = new Int32Array(cells.specs.length);
    this.#stores = new Int32Array(cells.specs.length);
    this.#owned = new Uint8Array(cells.specs.length);
  }

  isPrivate(op: number, thread: number): boolean {
    const index = op * this.#threads + thread;
    if (index < this.#known.length) {
      const known = this.#known[index]!;
      if (known !== 0) return known === 1;
    }
    return this.#ask(op, thread);
  }

  /**
   * `thread` has done the private `op` and enters the guest, told by its record at that moment. Where others write that record, it is
   * of concern to them when: what is done right before is then a step of its own. So it is where loads are done early, which an
   * entry ends.
   */
  enteredBehind(op: number, thread: number): void {
    const index = op * this.#threads + thread;
    if (this.#enteredWith.has(index)) return;
    this.#enteredWith.add(index);
    this.#judgeEntries();
  }

  #judgeEntries(): void {
    for (const index of this.#enteredWith) {
      const thread = index % this.#threads;
      const others = ~(1 << thread);
      const written = this.#toldBy[thread]!.some((cell) => (this.#stores[cell]! & others) !== 0);
      if (this.#entering.has(index) || (!written && !this.#earlyLoads)) continue;
      this.#entering.add(index);
      this.#known[index] = 2;
      this.outdated = true;
    }
  }

  /** True where nobody but `thread` loads or stores `cell`: when its stores reach memory is then of no concern to others. */
  isOwn(cell: number, thread: number): boolean {
    if (!this.#steps.reductions.has('own-stores')) return false;
    const others = ~(1 << thread);
    const own = ((this.#loads[cell]! | this.#stores[cell]!) & others) === 0;
    if (own) this.#owned[cell] = 1;
    return own;
  }

  /** Some of `threads`, a bit each, will do `operation`. */
  used(threads: number, operation: Operation): void {
    const { kind, cell } = operation;
    if (kind === KIND.rdtscAnyTime && !this.#readsAnyTime) {
      this.#readsAnyTime = true; // from the beginning on, time that has passed must be remembered for it
      this.outdated = true;
    }
    if (cell < 0) return;
    const loads = kind !== KIND.store;
    const stores = kind === KIND.store || kind === KIND.update || kind === KIND.count;
    this.touched(threads, cell, loads, stores);
  }

  /** Some of `threads` load from `cell` or store to it. */
  touched(threads: number, cell: number, loads: boolean, stores: boolean): void {
    const before = [this.#loads[cell]!, this.#stores[cell]!];
    if (loads) this.#loads[cell]! |= threads;
    if (stores) this.#stores[cell]! |= threads;
    if (this.#loads[cell] === before[0] && this.#stores[cell] === before[1]) return;
    const touching = this.#loads[cell]! | this.#stores[cell]!;
    if (this.#owned[cell] === 1 && (touching & (touching - 1)) !== 0) this.outdated = true;
    for (let op = 0; op < this.#operations.count; op++) {
      if (this.#operations.cell[op] === cell) this.#forget(op);
    }
    this.#judgeEntries();
  }

  #forget(op: number): void {
    for (let thread = 0; thread < this.#threads; thread++) {
      const index = op * this.#threads + thread;
      if (index >= this.#known.length || this.#known[index] === 0) continue;
      const was = this.#known[index];
      this.#known[index] = 0;
      if (was === 1 && !this.isPrivate(op, thread)) this.outdated = true;
    }
  }

  #ask(op: number, thread: number): boolean {
    const index = op * this.#threads + thread;
    if (index >= this.#known.length) {
      const longer = new Uint8Array(index * 2);
      longer.set(this.#known);
      this.#known = longer;
    }
    const answer = !this.#entering.has(index) && this.#judge(this.#operations.get(op), thread);
    this.#known[index] = answer ? 1 : 2;
    return answer;
  }

  #judge({ kind, cell }: Operation, thread: number): boolean {
    if (kind === KIND.done || kind === KIND.end || kind === KIND.guest) return false;
    if (cell >= 0 && this.#cells.specs[cell]!.perThread) return !this.#steps.apart;
    if (!this.#steps.reductions.has('private')) return false;
    if (kind === KIND.fence || kind === KIND.readBarrier) return true;
    if (kind === KIND.loadFence || kind === KIND.tscFence) return true;
    if (kind === KIND.hostTsc || kind === KIND.hostNs || kind === KIND.hostSample) return this.#stillTime;
    if (cell < 0 || kind === KIND.count) return false;
    const others = ~(1 << thread);
    const stored = (this.#stores[cell]! & others) !== 0;
    if (kind === KIND.load || kind === KIND.wait) return !stored;
    if (kind === KIND.store && this.#buffered) return true;
    return !stored && (this.#loads[cell]! & others) === 0;
  }
}
