/**
 * The operations that threads perform, each numbered once: "load version of record 0" is one number wherever it occurs.
 * Kind and cell stand in flat arrays, for the search; the rest is for people and for running the functions.
 */
import { byteOf, type Cells, type Word } from './cells.ts';

export const KIND = {
  load: 0,
  store: 1,
  /** A store that begins an update: its stamp is answered, though the thread does not see it. */
  count: 2,
  /** Atomic read and write. */
  update: 3,
  fence: 4,
  /** Goes on once the cell is not `operand`. */
  wait: 5,
  vcpu: 6,
  rdtsc: 7,
  hostTsc: 8,
  hostNs: 9,
  /** A read barrier; an operation only where loads may be done early. */
  readBarrier: 10,
  loadFence: 11,
  /** The vCPU runs guest code until this operation ends. */
  guest: 12,
  /** The call has returned; `operand` is the number of its outcome. */
  done: 13,
  /** Nothing is left to do. */
  end: 14,
  /** The host's TSC and clock at one instant. */
  hostSample: 15,
  /** What an ordered TSC read waits for; an operation only where loads may be done early. */
  tscFence: 16,
  /** RDTSC alone. */
  rdtscAnyTime: 17,
  /** The number of the vCPU, and from here on the thread stays there: preemption is off. */
  pin: 18,
} as const;

export type Kind = (typeof KIND)[keyof typeof KIND];

/** How an atomic operation makes the new value. */
export type Rule = 'or' | 'andNot' | 'exchange' | 'compareExchange' | 'and8';

export interface Operation {
  readonly kind: Kind;
  /** -1 where it touches no cell. */
  readonly cell: number;
  /** Bytes of the access; one of four is `offset` bytes into its cell. */
  readonly bytes: number;
  readonly offset: number;
  readonly rule?: Rule;
  /** What is stored, waited for, ored, compared with ... */
  readonly operand: Word;
  /** ... and what a compare-exchange puts there instead. */
  readonly desired?: Word;
  /** The stamp of what is stored. */
  readonly stamp: number;
}

export class Operations {
  /** Of each operation: its kind and its cell. */
  kind = new Uint8Array(256);
  cell = new Int16Array(256);
  /** Of each store and wait: the number of its value in its cell; of a return and an end: that of its outcome. */
  value = new Int32Array(256);
  /** Some thread uses RDTSC alone. */
  readsTscAnyTime = false;
  readonly #all: Operation[] = [];
  readonly #ids = new Map<string, number>();
  readonly #results: Int32Array[] = [];
  readonly #cells: Cells;

  constructor(cells: Cells) {
    this.#cells = cells;
  }

  get count(): number {
    return this.#all.length;
  }

  get(id: number): Operation {
    return this.#all[id]!;
  }

  /** True where `operation` is the one numbered `id`. */
  is(id: number, operation: Operation): boolean {
    const known = this.#all[id]!;
    return (
      known.kind === operation.kind &&
      known.cell === operation.cell &&
      known.bytes === operation.bytes &&
      known.offset === operation.offset &&
      known.operand === operation.operand &&
      known.stamp === operation.stamp &&
      known.rule === operation.rule &&
      known.desired === operation.desired
    );
  }

  intern(operation: Operation): number {
    const { kind, cell, bytes, offset, rule, operand, desired, stamp } = operation;
    const key = `${kind} ${cell} ${bytes} ${offset} ${rule} ${operand} ${desired} ${stamp}`;
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#all.push(operation) - 1;
    this.#ids.set(key, id);
    if (id === this.kind.length) this.#enlarge();
    this.kind[id] = kind;
    this.cell[id] = cell;
    if (kind === KIND.store || kind === KIND.wait) this.value[id] = this.#cells.intern(cell, operand, stamp);
    else if (kind === KIND.done || kind === KIND.end) this.value[id] = Number(operand);
    if (kind === KIND.rdtscAnyTime) this.readsTscAnyTime = true;
    this.#results.push(new Int32Array(0));
    return id;
  }

  /** The number of what an atomic or counting operation leaves in its cell, given the number of what it finds there. */
  result(id: number, found: number): number {
    let results = this.#results[id]!;
    if (found >= results.length) {
      const larger = new Int32Array(found + 8).fill(-1);
      larger.set(results);
      results = larger;
      this.#results[id] = larger;
    }
    if (results[found]! < 0) results[found] = this.#resultOf(id, found);
    return results[found]!;
  }

  #resultOf(id: number, found: number): number {
    const operation = this.get(id);
    const before = this.#cells.value(operation.cell, found);
    const stamp = this.#cells.stamp(operation.cell, found);
    if (operation.kind === KIND.count) return this.#cells.intern(operation.cell, operation.operand, stamp + 1);
    return this.#cells.intern(operation.cell, applied(operation, before), stamp);
  }

  #enlarge(): void {
    const grow = <A extends Uint8Array | Int16Array | Int32Array>(old: A, larger: A): A => {
      larger.set(old);
      return larger;
    };
    const length = this.kind.length * 2;
    this.kind = grow(this.kind, new Uint8Array(length));
    this.cell = grow(this.cell, new Int16Array(length));
    this.value = grow(this.value, new Int32Array(length));
  }
}

/** What an atomic operation leaves where it found `before`. */
function applied(operation: Operation, before: Word): Word {
  const operand = operation.operand;
  switch (operation.rule) {
    case 'or':
      return (Number(before) | Number(operand)) >>> 0;
    case 'andNot':
      return (Number(before) & ~Number(operand)) >>> 0;
    case 'and8': {
      const cleared = byteOf(before, operation.offset) & ~Number(operand) & 0xff;
      return (Number(before) & ~(cleared << (8 * operation.offset))) >>> 0;
    }
    case 'compareExchange':
      return before === operand ? operation.desired! : before;
    default:
      return operand;
  }
}
