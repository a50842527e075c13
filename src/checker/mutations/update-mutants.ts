/** What becomes of the update and of the run loop when one of their steps is left out or moved. */
import { HYPERVISOR_WORDS } from '../../hypervisor/cpu.ts';
import { IN_GUEST_MODE, OUTSIDE_GUEST_MODE, REQUEST } from '../../hypervisor/request-bits.ts';
import { VCPU_BYTES, VCPU_WORDS, VM_BYTES, VM_WORDS, vmWord } from '../../hypervisor/words.ts';
import { LAST_VALUE, RECORDS } from '../memory-map.ts';
import { changed, type Wrap } from '../mutants.ts';
import { isSequence } from './publish-mutants.ts';

/** True for the word of any vCPU that stands at `offset` of its words. */
function isVcpuWord(address: number, offset: number): boolean {
  const first = HYPERVISOR_WORDS + VM_BYTES;
  return address >= first && (address - first) % VCPU_BYTES === offset;
}

const isMode = (address: number): boolean => isVcpuWord(address, VCPU_WORDS.mode);
const isRequests = (address: number): boolean => isVcpuWord(address, VCPU_WORDS.requests);
const isRecord = (address: number): boolean => address >= RECORDS && address < LAST_VALUE;

/** Of a vCPU's two words, the other. */
const modeOf = (requests: number): number => requests - VCPU_WORDS.requests + VCPU_WORDS.mode;
const requestsOf = (mode: number): number => mode - VCPU_WORDS.mode + VCPU_WORDS.requests;

export const withoutKick: Wrap = (cpu) => changed(cpu, { kick() {} });
export const withoutWake: Wrap = (cpu) => changed(cpu, { wake32() {} });
export const withoutGateFence: Wrap = (cpu) => changed(cpu, { fence() {} });

/** `bit` is never asked of a vCPU. */
export function withoutRequest(bit: number): Wrap {
  return (cpu) =>
    changed(cpu, {
      fetchOr32: (address, bits) => (isRequests(address) && bits === bit ? 0 : cpu.fetchOr32(address, bits)),
    });
}

/** `bit` is never cleared. */
export function withoutTaking(bit: number): Wrap {
  return (cpu) =>
    changed(cpu, {
      fetchAndNot32: (address, bits) =>
        isRequests(address) && (bits & bit) !== 0 ? cpu.load32(address) : cpu.fetchAndNot32(address, bits),
    });
}

/** A vCPU never says that it is in the guest, or never that it is out again. */
export function withoutMode(mode: number): Wrap {
  return (cpu) =>
    changed(cpu, {
      store32(address, value) {
        if (!isMode(address) || value !== mode) cpu.store32(address, value);
      },
    });
}

/** The freezer takes every vCPU to be out already. */
export const withoutFreezeWait: Wrap = (cpu) =>
  changed(cpu, { load32: (address) => (isMode(address) ? OUTSIDE_GUEST_MODE : cpu.load32(address)) });

/** A vCPU that an update holds out goes round rather than to sleep. */
export const withoutSleep: Wrap = (cpu) =>
  changed(cpu, {
    wait32(address, value) {
      if (!isRequests(address)) cpu.wait32(address, value);
    },
  });

/** What the gate finds in the requests, once it has said that the vCPU is in the guest. `before`: asked as it is about to say so. */
function changedGate(before: (look: () => number) => number): Wrap {
  return (cpu) => {
    let found: number | undefined;
    return changed(cpu, {
      store32(address, value) {
        if (isMode(address) && value === IN_GUEST_MODE) found = before(() => cpu.load32(requestsOf(address)));
        cpu.store32(address, value);
      },
      load32(address) {
        const answer = isRequests(address) ? found : undefined;
        if (answer !== undefined) found = undefined;
        return answer ?? cpu.load32(address);
      },
    });
  };
}

/** The gate does not look at the requests again. */
export const withoutRecheck: Wrap = changedGate(() => 0);
/** It looks before it says that the vCPU is in the guest. */
export const withRecheckFirst: Wrap = changedGate((look) => look());

/** A request is cleared once it is served, not before. */
function takingLate(bit: number): Wrap {
  return (cpu) => {
    let owed: { readonly address: number; readonly bits: number } | undefined;
    const pay = (): void => {
      if (owed !== undefined) cpu.fetchAndNot32(owed.address, owed.bits);
      owed = undefined;
    };
    return changed(cpu, {
      fetchAndNot32(address, bits) {
        if ((bits & bit) === 0) return cpu.fetchAndNot32(address, bits);
        owed = { address, bits };
        return cpu.load32(address);
      },
      load32(address) {
        if (isRequests(address)) pay();
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
}

export const takingClockUpdateLate: Wrap = takingLate(REQUEST.CLOCK_UPDATE);
export const takingMasterUpdateLate: Wrap = takingLate(REQUEST.MASTERCLOCK_UPDATE);

/** Once the VM-wide update is done, the requests that were found before it stand. */
export const withoutSecondRequests: Wrap = (cpu) => {
  let found: number | undefined;
  let isDone = false;
  return changed(cpu, {
    load32(address) {
      if (!isRequests(address)) return cpu.load32(address);
      const known = isDone ? found : undefined;
      isDone = false;
      found = known ?? cpu.load32(address);
      return found;
    },
    fetchAndNot32(address, bits) {
      if (bits === REQUEST.MASTERCLOCK_UPDATE) isDone = true;
      return cpu.fetchAndNot32(address, bits);
    },
  });
};

/** The request is taken, and no record is written. */
export const withoutRecord: Wrap = (cpu) =>
  changed(cpu, {
    store32(address, value) {
      if (!isRecord(address)) cpu.store32(address, value);
    },
    store64(address, value) {
      if (!isRecord(address)) cpu.store64(address, value);
    },
  });

/** The vCPUs are held out once the copy is written, before anything else is done. */
export const withFreezeBehindCopy: Wrap = (cpu) => {
  const held: number[] = [];
  return changed(cpu, {
    fetchOr32(address, bits) {
      if (!isRequests(address) || bits !== REQUEST.MCLOCK_INPROGRESS) return cpu.fetchOr32(address, bits);
      held.push(address);
      return 0;
    },
    load32: (address) => (isMode(address) ? OUTSIDE_GUEST_MODE : cpu.load32(address)),
    store32(address, value) {
      cpu.store32(address, value);
      if (!isSequence(address) || (value & 1) === 1) return;
      for (const requests of held) cpu.fetchOr32(requests, REQUEST.MCLOCK_INPROGRESS);
      for (const requests of held) {
        while (cpu.load32(modeOf(requests)) === IN_GUEST_MODE) cpu.wait32(modeOf(requests), IN_GUEST_MODE);
      }
    },
  });
};

/** The freeze is lifted as soon as the copy is written: before record 0 is, where the updater writes that. */
export const withThawBehindCopy: Wrap = (cpu) => {
  const held: number[] = [];
  return changed(cpu, {
    fetchOr32(address, bits) {
      if (isRequests(address) && bits === REQUEST.MCLOCK_INPROGRESS) held.push(address);
      return cpu.fetchOr32(address, bits);
    },
    store32(address, value) {
      cpu.store32(address, value);
      if (!isSequence(address) || (value & 1) === 1) return;
      for (const requests of held) cpu.fetchAndNot32(requests, REQUEST.MCLOCK_INPROGRESS);
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

const isLock = (which: 'update' | 'record', address: number): boolean =>
  which === 'update' ? address === vmWord(VM_WORDS.lock) : isVcpuWord(address, VCPU_WORDS.recordLock);

/** A lock that never keeps anybody out. */
export function withoutLock(which: 'update' | 'record'): Wrap {
  return (cpu) =>
    changed(cpu, { exchange32: (address, value) => (isLock(which, address) ? 0 : cpu.exchange32(address, value)) });
}

/** Locks are given back by a plain store. */
export const withPlainRelease: Wrap = (cpu) =>
  changed(cpu, {
    exchange32(address, value) {
      if (value !== 0) return cpu.exchange32(address, value);
      cpu.store32(address, 0);
      return 1;
    },
  });
