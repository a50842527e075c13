/**
 * Which bytes of an image are a record. In any memory there are many that could be one by their layout, so all of these
 * must hold:
 *
 *   it lies at a multiple of 4          the hypervisors ask for that
 *   version even and not 0              odd is a record caught while it was written
 *   both paddings 0, no unknown flag
 *   mul in 2^31..2^32-1                 as every hypervisor scales it
 *   the TSC it stands for 100 MHz..10 GHz
 *   systemTime and the timestamp, in time, below 100 years, and the timestamp not 0
 *
 * In random bytes that is one place in 2^62.
 */
import { decodePvti, PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT, PVTI, PVTI_BYTES, type Pvti } from '../abi/pvti.ts';
import { tscHz } from '../scale/time-scale.ts';

const KNOWN_FLAGS = PVCLOCK_TSC_STABLE_BIT | PVCLOCK_GUEST_STOPPED;
const SLOWEST_TSC_HZ = 100e6;
const FASTEST_TSC_HZ = 10e9;
const YEARS_100_NS = 100 * 365.25 * 86_400 * 1e9;

/** What speaks against the 32 bytes at `offset` being a record; empty where nothing does. */
export function doubtsAt(view: DataView, offset: number): string[] {
  const pvti = decodePvti(view, offset);
  const padding = view.getUint32(offset + PVTI.pad0, true) | view.getUint16(offset + PVTI.pad, true);
  return doubts(pvti, padding);
}

function doubts(pvti: Pvti, padding: number): string[] {
  const found: string[] = [];
  if (pvti.version === 0) found.push('version 0: never written');
  if ((pvti.version & 1) !== 0) found.push('version odd: caught while it was written');
  if (padding !== 0) found.push('padding not zero');
  if ((pvti.flags & ~KNOWN_FLAGS) !== 0) found.push(`unknown flags 0x${pvti.flags.toString(16)}`);
  if (pvti.tscToSystemMul < 2 ** 31) found.push('multiplier below 2^31');
  const hz = tscHz(pvti.tscToSystemMul, pvti.tscShift);
  if (hz !== undefined && !(hz >= SLOWEST_TSC_HZ && hz <= FASTEST_TSC_HZ)) {
    found.push(`a TSC of ${hz.toPrecision(3)} Hz`);
  }
  if (pvti.tscTimestamp === 0n) found.push('timestamp 0');
  if (hz !== undefined && (Number(pvti.tscTimestamp) / hz) * 1e9 > YEARS_100_NS)
    found.push('timestamp beyond 100 years');
  if (Number(pvti.systemTime) > YEARS_100_NS) found.push('time beyond 100 years');
  return found;
}

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

export const PVTI_WORDS = PVTI_BYTES / 4;
