/**
 * Are these bytes a record in use? Said of memory that may be anything: an unused page, another structure, an image of a
 * guest's memory, where many bytes could be a record by their layout alone. So all of these must hold:
 *
 *   version even and not 0              odd is a record caught while it was written
 *   both paddings 0, no unknown flag
 *   mul in 2^31..2^32-1                 as every hypervisor scales it
 *   the TSC it stands for 100 MHz..10 GHz
 *   systemTime and the timestamp, in time, below 100 years, and the timestamp not 0
 *
 * In random bytes at multiples of 4, where hypervisors ask for them, that is one place in 2^62.
 */
import { decodePvti, PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT, PVTI, type Pvti } from '../abi/pvti.ts';
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

/** What speaks against `pvti` being a record; empty where nothing does. `padding`: its padding bytes, or'd together. */
export function doubts(pvti: Pvti, padding: number): string[] {
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
