/** Readers that the stress must catch. A module of its own, as the threads load them by name. */

import { CLOCK_BASE, clockBaseAddress } from '../../../src/abi/clock-base.ts';
import { CLOCK_MONOTONIC } from '../../../src/abi/clock-id.ts';
import { PVCLOCK_TSC_STABLE_BIT, PVTI } from '../../../src/abi/pvti.ts';
import type { Reader } from '../../../src/guest/cpu.ts';
import { landed } from '../../../src/guest/landed.ts';
import { evenVersion, readBegin, readCycles } from '../../../src/guest/sequence.ts';
import { BASES_AT } from '../../../src/machine/simulated/vm.ts';

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

/** Ends its thread at its first call. */
export const ending = (): Reader => () => process.exit(3);

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

/** clock_gettime that takes the base as it comes, without its sequence. */
export const clockGettimeWithoutSequence = (): Reader => (cpu, records) => {
  const base = clockBaseAddress(BASES_AT, CLOCK_MONOTONIC);
  const counter = landed(cpu, records);
  const cycleLast = cpu.load64(base + CLOCK_BASE.cycleLast);
  const mult = BigInt(cpu.load32(base + CLOCK_BASE.mult));
  const shift = BigInt(cpu.load32(base + CLOCK_BASE.shift));
  const sec = cpu.load64(base + CLOCK_BASE.sec);
  const shiftedNsec = cpu.load64(base + CLOCK_BASE.shiftedNsec);
  if (counter === undefined) return undefined;
  return sec * 1_000_000_000n + ((shiftedNsec + (counter - cycleLast) * mult) >> shift);
};
