/** What becomes of what stands under a sequence count when its writer, or the reader of the VM-wide copy, leaves out or moves a step. */
import { PVCLOCK_GUEST_STOPPED, PVTI } from '../../abi/pvti.ts';
import { VM_WORDS, vmWord } from '../../hypervisor/words.ts';
import { changed, type Wrap } from '../mutants.ts';
import { isRecordWord, isVersion } from '../reader-mutants.ts';

/** Which word is a count: a version, or the copy's sequence. */
export type IsCount = (address: number) => boolean;

export const isSequence: IsCount = (address) => address === vmWord(VM_WORDS.sequence);

export const withoutWriteBarriers: Wrap = (cpu) => changed(cpu, { writeBarrier() {} });

/** Counts of this parity are not stored. */
const withoutParity =
  (parity: 0 | 1) =>
  (isCount: IsCount): Wrap =>
  (cpu) =>
    changed(cpu, {
      store32(address, value) {
        if (!isCount(address) || (value & 1) !== parity) cpu.store32(address, value);
      },
    });

/** No odd phase: the body is written under the old count. */
export const withoutOdd = withoutParity(1);

/** The count stays odd. */
export const withoutEven = withoutParity(0);

/** The new even count is there before the body is. */
export const withEvenFirst =
  (isCount: IsCount): Wrap =>
  (cpu) =>
    changed(cpu, {
      store32: (address, value) => cpu.store32(address, isCount(address) && (value & 1) === 1 ? value + 1 : value),
    });

/** A version that is found odd is counted on from as if it were even: it stays odd. */
export const withoutMending: Wrap = (cpu) =>
  changed(cpu, { store32: (address, value) => cpu.store32(address, isVersion(address) ? value - 1 : value) });

/** The version, which the writers of 2014 and 2015 write first, comes behind the body. */
export const withVersionLast: Wrap = (cpu) => {
  let version: { readonly address: number; readonly value: number } | undefined;
  return changed(cpu, {
    store32(address, value) {
      if (isVersion(address)) {
        version = { address, value };
        return;
      }
      cpu.store32(address, value);
      if (version !== undefined && isRecordWord(address, PVTI.tscShift)) cpu.store32(version.address, version.value);
    },
  });
};

/** A GUEST_STOPPED that the guest has not taken yet is lost. */
export const withoutStopped: Wrap = (cpu) =>
  changed(cpu, {
    load32(address) {
      const word = cpu.load32(address);
      return isRecordWord(address, PVTI.tscShift) ? (word & ~(PVCLOCK_GUEST_STOPPED << 8)) >>> 0 : word;
    },
  });

/** Xen's writer publishes what stands there already. */
export const withoutComparing: Wrap = (cpu) =>
  changed(cpu, {
    load64: (address) => cpu.load64(address) + (isRecordWord(address, PVTI.tscTimestamp) ? 1n : 0n),
  });

/** The copy's reader takes an odd sequence for an even one. */
export const acceptingOddSequence: Wrap = (cpu) =>
  changed(cpu, {
    load32(address) {
      const word = cpu.load32(address);
      return isSequence(address) ? (word & ~1) >>> 0 : word;
    },
  });

/** The copy's reader: what it is answered at its second look at the sequence, given what it found at its first. */
function changedCopyLook(second: (first: number, look: () => number) => () => number): Wrap {
  return (cpu) => {
    let next: (() => number) | undefined;
    return changed(cpu, {
      load32(address) {
        if (!isSequence(address)) return cpu.load32(address);
        if (next !== undefined) {
          const answer = next();
          next = undefined;
          return answer;
        }
        const first = cpu.load32(address);
        next = second(first, () => cpu.load32(address));
        return first;
      },
      store32(address, value) {
        if (isSequence(address)) next = undefined; // that look was the writer's own
        cpu.store32(address, value);
      },
    });
  };
}

/** The second look is skipped. */
export const withoutCopyRetry: Wrap = changedCopyLook((first) => () => (first & ~1) >>> 0);

/** The second look comes before the copy is read. */
export const withSecondCopyLookFirst: Wrap = changedCopyLook((_first, look) => {
  const again = look();
  return () => again;
});
