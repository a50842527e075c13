/**
 * The checker's memory cells, and the values that they can hold.
 *
 * A state holds small integers only: each cell numbers the values that it has ever held, in the order in which they turned
 * up. The values themselves (numbers and bigints) are looked at only where a thread's function is run.
 *
 * A value carries a stamp, the number of the update that it comes from. Stamps are the checker's own: no reader sees one, and
 * two equal values of different updates are two values of the cell.
 */

/** What one load or store carries: a bigint for 8 bytes, a number for fewer. */
export type Word = number | bigint;

/** What a cell holds, for those who judge a finished call. */
export type Role =
  | 'version'
  | 'tscTimestamp'
  | 'systemTime'
  | 'tscToSystemMul'
  | 'tscShift' // tscShift, flags and padding are one word
  | 'flags'
  | 'copy' // the VM-wide copy's first word, whose stamp counts the updates
  | 'masterKernelNs'
  | 'masterCycleNow'
  | 'wallSec' // the wall clock's
  | 'wallNsec'
  | 'other';

export interface CellSpec {
  /** As a trace names it: `record 0 version`. */
  readonly name: string;
  readonly address: number;
  /** 0: as the first access to it takes. */
  readonly bytes: 0 | 4 | 8;
  readonly initial: Word;
  readonly role: Role;
  /** The vCPU whose record this belongs to; -1 for anything else. */
  readonly record: number;
  /** What is stored here takes the stamp of what the same call last loaded from a cell of this role. */
  readonly stampFrom?: Role;
  /** A store here is a new update: its stamp is the old one's and one more. */
  readonly counts?: boolean;
  /** Each thread has one of its own. */
  readonly perThread?: boolean;
}

interface Stamped {
  readonly value: Word;
  readonly stamp: number;
}

/** Values that one cell may take, and cells: a store buffer packs both into one number. */
export const MAX_VALUES = 256;
export const MAX_CELLS = 256;

export class Cells {
  readonly specs: readonly CellSpec[];
  readonly #byAddress = new Map<number, number>();
  readonly #values: Stamped[][];
  readonly #bytes: number[];

  constructor(specs: readonly CellSpec[]) {
    if (specs.length > MAX_CELLS) throw new RangeError(`checker: ${specs.length} cells, of ${MAX_CELLS}`);
    this.specs = specs;
    specs.forEach((spec, cell) => {
      if (!this.#byAddress.has(spec.address)) this.#byAddress.set(spec.address, cell);
    });
    this.#values = specs.map((spec) => [{ value: spec.initial, stamp: 0 }]);
    this.#bytes = specs.map((spec) => spec.bytes);
  }

  /** How many values the cell has held so far. */
  count(cell: number): number {
    return this.#values[cell]!.length;
  }

  value(cell: number, id: number): Word {
    return this.#values[cell]![id]!.value;
  }

  stamp(cell: number, id: number): number {
    return this.#values[cell]![id]!.stamp;
  }

  /** The number of this value in this cell. Throws where the cell has held too many: the scenario is not a small one. */
  intern(cell: number, value: Word, stamp: number): number {
    const values = this.#values[cell]!;
    const found = values.findIndex((entry) => entry.value === value && entry.stamp === stamp);
    if (found >= 0) return found;
    if (values.length === MAX_VALUES) {
      throw new RangeError(`checker: ${this.specs[cell]!.name} took more than ${MAX_VALUES} values; bound the updates`);
    }
    return values.push({ value, stamp }) - 1;
  }

  /** The cell of an access of `bytes` at `address`, and how many bytes into it. Throws where there is none, or a part of two. */
  at(address: number, bytes: number): { cell: number; offset: number } {
    const whole = this.#byAddress.get(address);
    if (whole !== undefined && this.#fits(whole, bytes)) return { cell: whole, offset: 0 };
    for (let offset = 0; offset < 4 && bytes === 1; offset++) {
      const cell = this.#byAddress.get(address - offset);
      if (cell !== undefined && this.#fits(cell, 4)) return { cell, offset };
    }
    throw new RangeError(`checker: no cell takes ${bytes} bytes at 0x${address.toString(16)}`);
  }

  #fits(cell: number, bytes: number): boolean {
    if (this.#bytes[cell] === 0 && bytes >= 4) {
      this.#bytes[cell] = bytes;
      const { initial } = this.specs[cell]!;
      this.#values[cell] = [{ value: bytes === 8 ? BigInt(initial) : Number(initial), stamp: 0 }];
    }
    return this.#bytes[cell] === bytes;
  }
}

/** The byte at `offset` of a 4-byte value. */
export function byteOf(value: Word, offset: number): number {
  return (Number(value) >>> (8 * offset)) & 0xff;
}
