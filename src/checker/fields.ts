/** A state's fields, packed into 32-bit words. No field straddles a word, so reading one is a load, a shift and a mask. */

/** Widest field, in bits: the value must stay a small positive integer. */
const MAX_WIDTH = 30;

export class Fields {
  /** Words of one state. */
  readonly words: number;
  /** Of each field: its word, its shift and its mask before the shift. */
  readonly word: Int32Array;
  readonly shift: Int32Array;
  readonly mask: Int32Array;
  /** The fields that have bits at all. */
  readonly #used: Int32Array;

  /** `widths[f]`: bits of field f; 0 for a field that is always 0. `least`: words to take at least. */
  constructor(widths: readonly number[], least = 1) {
    const tooWide = widths.findIndex((width) => width > MAX_WIDTH);
    if (tooWide >= 0) throw new RangeError(`Fields: field ${tooWide} wants ${widths[tooWide]} bits of ${MAX_WIDTH}`);
    this.word = new Int32Array(widths.length);
    this.shift = new Int32Array(widths.length);
    this.mask = new Int32Array(widths.length);
    const used: number[] = [];
    const widestFirst = widths.map((_, field) => field).sort((a, b) => widths[b]! - widths[a]!);
    for (const field of widestFirst) {
      const width = widths[field]!;
      let word = used.findIndex((bits) => bits + width <= 32);
      if (word < 0) word = used.push(0) - 1;
      this.word[field] = word;
      this.shift[field] = width === 0 ? 0 : used[word]!;
      this.mask[field] = 2 ** width - 1;
      used[word]! += width;
    }
    this.words = Math.max(least, used.length);
    this.#used = Int32Array.from(widestFirst.filter((field) => widths[field]! > 0));
  }

  /** Copies every field of a state to one that is packed by `other`, whose fields are as many and at least as wide. */
  convert(state: Int32Array, other: Fields, to: Int32Array): void {
    to.fill(0);
    const { word, shift, mask } = this;
    for (let index = 0; index < this.#used.length; index++) {
      const field = this.#used[index]!;
      const value = (state[word[field]!]! >>> shift[field]!) & mask[field]!;
      to[other.word[field]!]! |= value << other.shift[field]!;
    }
  }

  get(state: Int32Array, field: number): number {
    return (state[this.word[field]!]! >>> this.shift[field]!) & this.mask[field]!;
  }

  /** False where the value does not fit: the field must be widened. */
  put(state: Int32Array, field: number, value: number): boolean {
    const mask = this.mask[field]!;
    if (value > mask) return false;
    const word = this.word[field]!;
    const shift = this.shift[field]!;
    state[word] = (state[word]! & ~(mask << shift)) | (value << shift);
    return true;
  }
}
