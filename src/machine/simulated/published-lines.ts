/**
 * The lines that a hypervisor has published, so that what a reader took from a record can be held against them: a timestamp and
 * a time that no update ever published together are a torn read.
 *
 * Written by whoever updates the VM-wide copy, under the VM's lock and before any record follows; read by all.
 */

/** `pairs`: timestamp (cycles) and time (ns) in turns, in a ring; `count`: how many there ever were, mod 2^32. */
export interface LineWords {
  readonly pairs: BigUint64Array;
  readonly count: Int32Array;
}

const RING = 1 << 16;
/** Of the ring's oldest lines some may be overwritten while they are looked at. */
const MARGIN = 1 << 12;

export function emptyLines(): LineWords {
  return {
    pairs: new BigUint64Array(new SharedArrayBuffer(RING * 16)),
    count: new Int32Array(new SharedArrayBuffer(4)),
  };
}

/** How many there ever were, mod 2^32. */
export function lineCount(lines: LineWords): number {
  return Atomics.load(lines.count, 0) >>> 0;
}

/** Guest TSC (cycles) and VM clock (ns), both mod 2^64, of a line that is about to be published. */
export function noteLine(lines: LineWords, tscTimestamp: bigint, systemTime: bigint): void {
  const count = lineCount(lines);
  const at = 2 * (count % RING);
  Atomics.store(lines.pairs, at, tscTimestamp);
  Atomics.store(lines.pairs, at + 1, systemTime);
  Atomics.store(lines.count, 0, (count + 1) | 0); // the pair before its number
}

/** True where these two were published together, or so long ago (some 60,000 lines) that nobody knows any more. */
export function wasPublished(lines: LineWords, tscTimestamp: bigint, systemTime: bigint): boolean {
  for (;;) {
    const count = lineCount(lines);
    const found = search(lines, count, tscTimestamp, systemTime);
    if (found || lineCount(lines) - count < MARGIN) return found;
  }
}

function search({ pairs }: LineWords, count: number, tscTimestamp: bigint, systemTime: bigint): boolean {
  const known = Math.min(count, RING - MARGIN);
  for (let back = 1; back <= known; back++) {
    const at = 2 * ((count - back) % RING);
    const noted = Atomics.load(pairs, at);
    if (noted === tscTimestamp && Atomics.load(pairs, at + 1) === systemTime) return true;
    if (noted < tscTimestamp) return false; // timestamps only grow
  }
  return count > known;
}
