/** Finds where in a memory image a record may begin: the rules of guest/plausible.ts, the cheap ones first and fast. */
import { PVTI } from '../../abi/pvti.ts';

/** Bits of the last word that are 0 in every record: the padding and all flags but two. The shift is its lowest byte. */
const ZERO_BITS = 0xffff_fc00 | 0;

const WORD = { version: PVTI.version / 4, pad0: PVTI.pad0 / 4, mul: PVTI.tscToSystemMul / 4, last: PVTI.tscShift / 4 };

/**
 * The first word index at or after `from` where a record may begin, by a few tests that cost about a nanosecond; -1 where
 * there is none that ends by `words`. The rarest test comes first in random bytes, and the next is the rarest in zeros.
 */
export function nextCandidate(memory: Int32Array, from: number, words: number): number {
  for (let last = from + WORD.last; last < words; last++) {
    if ((memory[last]! & ZERO_BITS) === 0 && memory[last - WORD.last + WORD.mul]! < 0) {
      const at = last - WORD.last;
      if (memory[at + WORD.pad0] === 0 && (memory[at + WORD.version]! & 1) === 0) return at;
    }
  }
  return -1;
}
