/**
 * Every state seen so far, numbered in the order in which they were found: one growing buffer of packed states, each with the
 * number of the state that it was found from, and an open-addressing table over it.
 *
 * States are compared word for word. A table's slot holds a few bits of the hash beside the number, but only to save
 * looking at a state that cannot be equal: no two states are ever taken for one.
 */

/** Bits of a slot that number a state; the rest are the tag. Number 0 marks a free slot, so states count from 1 in there. */
const INDEX_BITS = 27;
const INDEX_MASK = 2 ** INDEX_BITS - 1;

/** The most states that a set can hold, whatever the memory. */
export const MAX_STATES = INDEX_MASK - 1;

const FIRST_SLOTS = 2 ** 16;
const FIRST_BYTES = 2 ** 18;

export class StateSet {
  /** States held. */
  count = 0;
  #words: number;
  #stride: number;
  readonly #maxBytes: number;
  readonly #buffer: ArrayBuffer;
  readonly #states: Int32Array;
  #capacity: number;
  #slots: Int32Array;
  #slotMask: number;

  /** `words`: 32-bit words of one state; `maxBytes`: what states and table may take together. */
  constructor(words: number, maxBytes: number) {
    this.#words = words;
    this.#stride = words + 1;
    this.#maxBytes = maxBytes;
    const first = Math.min(FIRST_BYTES, maxBytes);
    this.#buffer = new ArrayBuffer(first, { maxByteLength: maxBytes });
    this.#states = new Int32Array(this.#buffer);
    this.#capacity = Math.floor(first / 4 / this.#stride);
    this.#slots = new Int32Array(FIRST_SLOTS);
    this.#slotMask = FIRST_SLOTS - 1;
  }

  /** Bytes taken by states and table; what is only put aside for more of them is not counted. */
  get bytes(): number {
    return this.count * this.#stride * 4 + this.#slots.byteLength;
  }

  /** Copies state `index` to `into`. */
  read(index: number, into: Int32Array): void {
    const states = this.#states;
    const base = index * this.#stride;
    for (let word = 0; word < this.#words; word++) into[word] = states[base + word]!;
  }

  /** The state from which `index` was first found; -1 for an initial one. */
  parent(index: number): number {
    return this.#states[index * this.#stride + this.#words]!;
  }

  /** The number of a state that is in the set, or -1. */
  find(state: Int32Array): number {
    const slot = this.#probe(state, hashOf(state, this.#words));
    return (this.#slots[slot]! & INDEX_MASK) - 1;
  }

  /** Adds a state. False where it was there already, undefined where there is no room for it. */
  add(state: Int32Array, parent: number): boolean | undefined {
    const hash = hashOf(state, this.#words);
    let slot = this.#probe(state, hash);
    if (this.#slots[slot] !== 0) return false;
    if (this.count >= this.#capacity && !this.#grow()) return undefined;
    if (this.count * 4 >= this.#slots.length * 3) {
      if (!this.#rehash()) return undefined;
      slot = this.#probe(state, hash);
    }
    const states = this.#states;
    const base = this.count * this.#stride;
    for (let word = 0; word < this.#words; word++) states[base + word] = state[word]!;
    states[base + this.#words] = parent;
    this.count++;
    this.#slots[slot] = (hash & ~INDEX_MASK) | this.count;
    return true;
  }

  /**
   * Packs every state anew, into `words` words, no fewer than before; `convert` does it with one. The states keep their
   * numbers. False, and nothing changed, where there is no room.
   */
  repack(words: number, convert: (from: Int32Array, to: Int32Array) => void): boolean {
    const stride = words + 1;
    const bytes = Math.max(this.#buffer.byteLength, this.#capacity * stride * 4);
    if (bytes + this.#slots.byteLength > this.#maxBytes) return false;
    this.#buffer.resize(bytes);
    const from = new Int32Array(this.#words);
    const to = new Int32Array(words);
    for (let index = this.count - 1; index >= 0; index--) {
      this.read(index, from);
      const parent = this.parent(index);
      convert(from, to);
      this.#states.set(to, index * stride);
      this.#states[index * stride + words] = parent;
    }
    this.#words = words;
    this.#stride = stride;
    this.#capacity = Math.min(Math.floor(bytes / 4 / stride), MAX_STATES);
    this.#fillTable(this.#slots.length);
    return true;
  }

  /** The slot of `state`, or the free one where it belongs. */
  #probe(state: Int32Array, hash: number): number {
    const slots = this.#slots;
    const states = this.#states;
    const words = this.#words;
    const tag = hash & ~INDEX_MASK;
    let slot = hash & this.#slotMask;
    for (;;) {
      const entry = slots[slot]!;
      if (entry === 0) return slot;
      if ((entry & ~INDEX_MASK) === tag) {
        const base = ((entry & INDEX_MASK) - 1) * this.#stride;
        let word = 0;
        while (word < words && states[base + word] === state[word]) word++;
        if (word === words) return slot;
      }
      slot = (slot + 1) & this.#slotMask;
    }
  }

  /** Doubles the buffer, as far as the bound allows; false where it is reached. */
  #grow(): boolean {
    const room = this.#maxBytes - this.#slots.byteLength;
    const bytes = Math.min(this.#buffer.byteLength * 2, room);
    const capacity = Math.min(Math.floor(bytes / 4 / this.#stride), MAX_STATES);
    if (capacity <= this.#capacity) return false;
    this.#buffer.resize(bytes);
    this.#capacity = capacity;
    return true;
  }

  /** Doubles the table; false where the bound leaves no room for it. */
  #rehash(): boolean {
    if (this.#buffer.byteLength + this.#slots.byteLength * 2 > this.#maxBytes) return false;
    this.#fillTable(this.#slots.length * 2);
    return true;
  }

  #fillTable(slots: number): void {
    this.#slots = new Int32Array(slots);
    this.#slotMask = slots - 1;
    const state = new Int32Array(this.#words);
    for (let index = 0; index < this.count; index++) {
      this.read(index, state);
      const hash = hashOf(state, this.#words);
      let slot = hash & this.#slotMask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#slotMask;
      this.#slots[slot] = (hash & ~INDEX_MASK) | (index + 1);
    }
  }
}

/** A multiplicative hash with a final mix, so that both its low bits (the slot) and its high bits (the tag) are good. */
function hashOf(state: Int32Array, words: number): number {
  let hash = 0x2545f491;
  for (let word = 0; word < words; word++) {
    hash = Math.imul(hash ^ state[word]!, 0x5bd1e995);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash, 0x2c1b3c6d);
  hash ^= hash >>> 12;
  hash = Math.imul(hash, 0x297a2d39);
  return hash ^ (hash >>> 15);
}
