/**
 * The contents of x86's store buffers, each numbered once: a state holds one small number for a buffer, however long it is.
 *
 * x86-TSO: a store goes to the end of its processor's buffer; a load takes the newest store to its address from there, and
 * memory's value where there is none; the oldest store goes to memory at any time; a fence or a locked operation waits until
 * the buffer is empty.
 */
import { MAX_CELLS, MAX_VALUES } from './cells.ts';

/** The buffer that holds nothing. */
export const EMPTY = 0;

/**
 * Entries of one buffer: a store waits where it is full, as it does on a processor (whose buffers have some dozens). More than
 * any shipped function leaves in there, so that the bound shows only where a fence was taken out.
 */
export const CAPACITY = 12;

export class StoreBuffers {
  /** Entries of the longest buffer that there was. */
  longest = 0;
  /** Of each buffer: all but its newest entry, its length, and the newest entry: which cell, and its value's number. */
  readonly #older: number[] = [EMPTY];
  readonly #length: number[] = [0];
  readonly #cell: number[] = [-1];
  readonly #value: number[] = [-1];
  /** Of each buffer: its oldest entry, and what is left without it (-1: not asked yet). */
  readonly #oldestCell: number[] = [-1];
  readonly #oldestValue: number[] = [-1];
  readonly #drained: number[] = [EMPTY];
  readonly #longer = new Map<number, number>();

  isFull(buffer: number): boolean {
    return this.#length[buffer]! >= CAPACITY;
  }

  /** The buffer with one more entry; not to be asked of a full one. */
  push(buffer: number, cell: number, value: number): number {
    const key = (buffer * MAX_CELLS + cell) * MAX_VALUES + value;
    const known = this.#longer.get(key);
    if (known !== undefined) return known;
    const length = this.#length[buffer]! + 1;
    this.longest = Math.max(this.longest, length);
    const longer = this.#older.push(buffer) - 1;
    this.#length.push(length);
    this.#cell.push(cell);
    this.#value.push(value);
    this.#oldestCell.push(buffer === EMPTY ? cell : this.#oldestCell[buffer]!);
    this.#oldestValue.push(buffer === EMPTY ? value : this.#oldestValue[buffer]!);
    this.#drained.push(buffer === EMPTY ? EMPTY : -1);
    this.#longer.set(key, longer);
    return longer;
  }

  /** The value of the newest store to `cell`, or -1 where there is none. */
  forward(buffer: number, cell: number): number {
    for (let at = buffer; at !== EMPTY; at = this.#older[at]!) if (this.#cell[at] === cell) return this.#value[at]!;
    return -1;
  }

  oldestCell(buffer: number): number {
    return this.#oldestCell[buffer]!;
  }

  oldestValue(buffer: number): number {
    return this.#oldestValue[buffer]!;
  }

  /** The buffer without its oldest entry. */
  drained(buffer: number): number {
    const known = this.#drained[buffer]!;
    if (known >= 0) return known;
    const rest = this.push(this.drained(this.#older[buffer]!), this.#cell[buffer]!, this.#value[buffer]!);
    this.#drained[buffer] = rest;
    return rest;
  }
}
