/**
 * A state in hand, field by field, and its memory: every access at once (`sc`), or stores through the buffer of their
 * processor (`tso`). Threads of the hypervisor have a processor each; a guest thread's is the vCPU that it runs on.
 */
import type { Fields } from './fields.ts';
import { EMPTY } from './store-buffers.ts';
import type { Watcher } from './watcher.ts';
import type { World } from './world.ts';

/** Thrown where a value does not fit its field; `overflow` names the field. */
export const WIDEN = { widen: true };

export class MemoryState {
  /** The state that is left ... */
  readonly current: Int32Array;
  /** ... and the one that is reached. */
  readonly next: Int32Array;
  /** The field that WIDEN was thrown for. */
  overflow = -1;
  watcher: Watcher | undefined;
  readonly #world: World;
  readonly #fields: Fields;

  constructor(world: World, fields: Fields) {
    this.#world = world;
    this.#fields = fields;
    this.current = new Int32Array(fields.words);
    this.next = new Int32Array(fields.words);
  }

  /** The next successor starts as a copy of the current state. */
  begin(): void {
    const next = this.next;
    const current = this.current;
    for (let word = 0; word < next.length; word++) next[word] = current[word]!;
    if (this.watcher !== undefined) this.watcher.began();
  }

  protected fieldOf(cell: number, thread: number): number {
    const { layout, hosts, others } = this.#world;
    const field = layout.cell[cell]!;
    return field >= 0 ? field : layout.own[thread - hosts - others]! - 1 - field;
  }

  /** The number of what `cell` holds as `processor` sees it. `thread`: whose own cell, where each has one. */
  protected load(processor: number, cell: number, thread: number): number {
    const { layout, buffered, buffers } = this.#world;
    if (buffered) {
      const buffer = this.get(layout.buffer[processor]!);
      const forwarded = buffer === EMPTY ? -1 : buffers.forward(buffer, cell);
      if (forwarded >= 0) return forwarded;
    }
    return this.get(this.fieldOf(cell, thread));
  }

  /** True where `processor` can store nothing before something has reached memory. */
  protected isFull(processor: number): boolean {
    const { layout, buffered, buffers } = this.#world;
    return buffered && buffers.isFull(this.get(layout.buffer[processor]!));
  }

  protected store(processor: number, cell: number, thread: number, value: number): void {
    const { layout, buffered, buffers } = this.#world;
    if (!buffered || layout.cell[cell]! < 0) {
      this.write(cell, thread, value);
      return;
    }
    const buffer = layout.buffer[processor]!;
    this.put(buffer, buffers.push(this.get(buffer), cell, value));
  }

  /** Memory changes. */
  protected write(cell: number, thread: number, value: number): void {
    const field = this.fieldOf(cell, thread);
    const { early } = this.#world;
    if (early !== undefined && this.get(field) !== value) early.lost(this, cell, this.get(field));
    this.put(field, value);
  }

  /** The oldest store of a buffer reaches memory; false where there is none. */
  drain(processor: number): boolean {
    if (this.now(this.#world.layout.buffer[processor]!) === EMPTY) return false;
    this.begin();
    this.#drainOldest(processor);
    this.drainOwn(processor);
    return true;
  }

  /** The oldest stores of a buffer reach memory as far as nobody else can tell. */
  drainOwn(processor: number): void {
    const { layout, buffers, visibility } = this.#world;
    for (;;) {
      const buffer = this.get(layout.buffer[processor]!);
      if (buffer === EMPTY || !visibility.isOwn(buffers.oldestCell(buffer), processor)) return;
      this.#drainOldest(processor);
    }
  }

  #drainOldest(processor: number): void {
    const { layout, buffers } = this.#world;
    const buffer = this.get(layout.buffer[processor]!);
    const cell = buffers.oldestCell(buffer);
    const value = buffers.oldestValue(buffer);
    this.write(cell, -1, value);
    this.put(layout.buffer[processor]!, buffers.drained(buffer));
    if (this.watcher !== undefined) this.watcher.drained(processor, cell, value);
  }

  now(field: number): number {
    return this.#fields.get(this.current, field);
  }

  get(field: number): number {
    return this.#fields.get(this.next, field);
  }

  put(field: number, value: number): void {
    if (this.#fields.put(this.next, field, value)) return;
    this.overflow = field;
    throw WIDEN;
  }
}
