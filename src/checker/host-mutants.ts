/** What becomes of the hypervisor when one of its steps is left out or moved. */
import { PVTI, PVTI_SIZE } from '../abi/pvti.ts';
import { HYPERVISOR_WORDS } from '../hypervisor/cpu.ts';
import { OUTSIDE_GUEST_MODE, REQUEST } from '../hypervisor/request-bits.ts';
import { VCPU_BYTES, VCPU_WORDS, VM_BYTES, VM_WORDS, vmWord } from '../hypervisor/words.ts';
import { RECORDS } from './memory-map.ts';
import { changed, type Wrap } from './mutants.ts';

const isVersion = (address: number): boolean =>
  address >= RECORDS && address < HYPERVISOR_WORDS && (address - RECORDS) % PVTI_SIZE === PVTI.version;

/** True for the word of any vCPU that stands at `offset` of its words. */
function isVcpuWord(address: number, offset: number): boolean {
  const first = HYPERVISOR_WORDS + VM_BYTES;
  return address >= first && (address - first) % VCPU_BYTES === offset;
}

const isMode = (address: number): boolean => isVcpuWord(address, VCPU_WORDS.mode);
const isRequests = (address: number): boolean => isVcpuWord(address, VCPU_WORDS.requests);

export const withoutGateFence: Wrap = (cpu) => changed(cpu, { fence() {} });
export const withoutWriteBarriers: Wrap = (cpu) => changed(cpu, { writeBarrier() {} });

/** No odd phase: the body is written under the old version. */
export const withoutOddVersion: Wrap = (cpu) =>
  changed(cpu, {
    store32(address, value) {
      if (!isVersion(address) || (value & 1) === 0) cpu.store32(address, value);
    },
  });

/** The new even version is there before the body is. */
export const withEvenVersionFirst: Wrap = (cpu) =>
  changed(cpu, {
    store32: (address, value) => cpu.store32(address, isVersion(address) && (value & 1) === 1 ? value + 1 : value),
  });

/** The freezer takes every vCPU to be out already. */
export const withoutFreezeWait: Wrap = (cpu) =>
  changed(cpu, { load32: (address) => (isMode(address) ? OUTSIDE_GUEST_MODE : cpu.load32(address)) });

/** `bit` is never asked of a vCPU. */
export function withoutRequest(bit: number): Wrap {
  return (cpu) =>
    changed(cpu, {
      fetchOr32: (address, bits) => (isRequests(address) && bits === bit ? 0 : cpu.fetchOr32(address, bits)),
    });
}

/** The gate does not look at the requests once it has said that the vCPU is in the guest. */
export const withoutRecheck: Wrap = (cpu) => {
  let atGate = false;
  return changed(cpu, {
    fence() {
      atGate = true;
      cpu.fence();
    },
    load32(address) {
      if (!atGate || !isRequests(address)) return cpu.load32(address);
      atGate = false;
      return 0;
    },
    relax() {
      atGate = false;
      cpu.relax();
    },
  });
};

/** CLOCK_UPDATE is cleared once the record is written, not before the copy is read. */
export const takingRequestLate: Wrap = (cpu) => {
  let owed: { readonly address: number; readonly bits: number } | undefined;
  const pay = (): void => {
    if (owed !== undefined) cpu.fetchAndNot32(owed.address, owed.bits);
    owed = undefined;
  };
  return changed(cpu, {
    fetchAndNot32(address, bits) {
      if ((bits & REQUEST.CLOCK_UPDATE) === 0) return cpu.fetchAndNot32(address, bits);
      owed = { address, bits };
      return cpu.load32(address);
    },
    store32(address, value) {
      if (isMode(address)) pay();
      cpu.store32(address, value);
    },
    wait32(address, value) {
      if (isRequests(address)) pay();
      cpu.wait32(address, value);
    },
  });
};

/** A lock that never keeps anybody out. */
export function withoutLock(which: 'update' | 'record'): Wrap {
  const isLock = (address: number): boolean =>
    which === 'update' ? address === vmWord(VM_WORDS.lock) : isVcpuWord(address, VCPU_WORDS.recordLock);
  return (cpu) =>
    changed(cpu, { exchange32: (address, value) => (isLock(address) ? 0 : cpu.exchange32(address, value)) });
}

/** The copy is written under its old sequence. */
export const withoutOddSequence: Wrap = (cpu) =>
  changed(cpu, {
    store32(address, value) {
      if (address !== vmWord(VM_WORDS.sequence) || (value & 1) === 0) cpu.store32(address, value);
    },
  });

/** The second look at the copy's sequence is skipped. */
export const withoutCopyRetry: Wrap = (cpu) => {
  let first: number | undefined;
  return changed(cpu, {
    load32(address) {
      if (address !== vmWord(VM_WORDS.sequence)) return cpu.load32(address);
      if (first !== undefined) {
        const even = first & ~1;
        first = undefined;
        return even;
      }
      first = cpu.load32(address);
      return first;
    },
    store32(address, value) {
      if (address === vmWord(VM_WORDS.sequence)) first = undefined; // that look was the writer's own
      cpu.store32(address, value);
    },
  });
};

/** The freeze is lifted before new records are asked for. */
export const thawingFirst: Wrap = (cpu) =>
  changed(cpu, {
    fetchOr32(address, bits) {
      if (isRequests(address) && bits === REQUEST.CLOCK_UPDATE) {
        cpu.fetchAndNot32(address, REQUEST.MCLOCK_INPROGRESS);
      }
      return cpu.fetchOr32(address, bits);
    },
  });
