/** Readers that the stress must catch. A module of its own, as the threads load them by name. */
import { PVCLOCK_TSC_STABLE_BIT, PVTI } from '../../../src/abi/pvti.ts';
import type { Reader } from '../../../src/guest/cpu.ts';
import { landed } from '../../../src/guest/landed.ts';
import { evenVersion, readBegin, readCycles } from '../../../src/guest/sequence.ts';

/** `landed` with its retry removed. */
export const landedWithoutRetry = (): Reader => (cpu, records) => {
  readBegin(cpu, records);
  if ((cpu.load8(records + PVTI.flags) & PVCLOCK_TSC_STABLE_BIT) === 0) return undefined;
  return readCycles(cpu, records);
};

/** `landed` that only waits for an even version and does not look whether it is still the same. */
export const landedAtEvenVersion = (): Reader => (cpu, records) => {
  for (;;) {
    const version = cpu.load32(records + PVTI.version);
    if (evenVersion(version) === version) return landedWithoutRetry()(cpu, records);
    cpu.relax();
  }
};

/** Never comes back, and does nothing at which its vCPU could be made to leave the guest. */
export const endless = (): Reader => () => {
  for (;;);
};

/** Fails at its first call. */
export const failing = (): Reader => () => {
  throw new Error('this reader fails');
};

/** `landed`, a second ahead of the time on every other call. */
export const leaping = (): Reader => {
  let calls = 0;
  return (cpu, records) => {
    const ns = landed(cpu, records);
    return ns === undefined || ++calls % 2 === 0 ? ns : ns + 1_000_000_000n;
  };
};
