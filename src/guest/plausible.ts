/**
 * Is this memory a live record? Said of bytes that may be anything: an unused page, another structure, noise.
 */
import { PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT, type Pvti } from '../abi/pvti.ts';
import { tscHz } from '../scale/time-scale.ts';

const KNOWN_FLAGS = PVCLOCK_TSC_STABLE_BIT | PVCLOCK_GUEST_STOPPED;
const SLOWEST_TSC_HZ = 1e6;
const FASTEST_TSC_HZ = 100e9;

/** Why `pvti` cannot be a record in use, or undefined where it can. `padding`: the bytes that must be zero, or'd together. */
export function implausible(pvti: Pvti, padding: number): string | undefined {
  if (pvti.version === 0) return 'the record was never written (version 0)';
  if (padding !== 0) return 'its padding is not zero';
  if ((pvti.flags & ~KNOWN_FLAGS) !== 0) return `it has unknown flags 0x${pvti.flags.toString(16)}`;
  const hz = tscHz(pvti.tscToSystemMul, pvti.tscShift);
  if (hz === undefined) return 'its multiplier is 0';
  if (pvti.tscShift < -31 || pvti.tscShift > 31) return `its shift is ${pvti.tscShift}, beyond -31..31`;
  if (hz < SLOWEST_TSC_HZ || hz > FASTEST_TSC_HZ) return `it stands for a TSC of ${hz.toPrecision(3)} Hz`;
  return undefined;
}
