/** What becomes of `before`, `freebsd` or the kernel's read when a step that only they have is left out or moved. */
import { PVCLOCK_TSC_STABLE_BIT, PVTI, pvtiAddress } from '../../abi/pvti.ts';
import { before } from '../../guest/before.ts';
import type { TscAndVcpu } from '../../guest/cpu.ts';
import { LAST_VALUE } from '../memory-map.ts';
import { changed, type ThreadReader, type Wrap } from '../mutants.ts';
import { withoutStableTest } from '../reader-mutants.ts';

export const withoutLoadFence: Wrap = (cpu) => changed(cpu, { loadFence() {} });

/** The question for the vCPU's number that comes after the TSC read is not asked. */
export const withOneVcpuNumber: Wrap = (cpu) => {
  let number: number | undefined;
  return changed(cpu, {
    vcpu() {
      if (number === undefined) number = cpu.vcpu();
      return number;
    },
    relax() {
      number = undefined;
      cpu.relax();
    },
  });
};

/** It is asked before the TSC is read. */
export const withSecondNumberFirst: Wrap = (cpu) => {
  let again: number | undefined;
  return changed(cpu, {
    vcpu() {
      if (again !== undefined) {
        const number = again;
        again = undefined;
        return number;
      }
      const number = cpu.vcpu();
      again = cpu.vcpu();
      return number;
    },
  });
};

/** The flags of the vCPU's record are read before everything else, once. */
export const beforeWithStableTestFirst: ThreadReader = (cpu, records) => {
  const flags = cpu.load8(pvtiAddress(records, cpu.vcpu()) + PVTI.flags);
  const ns = before(withoutStableTest(cpu), records);
  return (flags & PVCLOCK_TSC_STABLE_BIT) === 0 ? undefined : ns;
};

/** `freebsd`: what becomes of the second RDTSCP's answer, given the first's. */
function changedRdtscp(answer: (first: TscAndVcpu, second: TscAndVcpu) => TscAndVcpu): Wrap {
  return (cpu) => {
    let first: TscAndVcpu | undefined;
    return changed(cpu, {
      rdtscp() {
        const read = cpu.rdtscp();
        const before = first;
        first = before === undefined ? read : undefined;
        return before === undefined ? read : answer(before, read);
      },
      relax() {
        first = undefined;
        cpu.relax();
      },
    });
  };
}

/** The two numbers are taken to be the same. */
export const withoutNumberCheck: Wrap = changedRdtscp((first, { tsc }) => ({ tsc, vcpu: first.vcpu }));
/** The TSC is the one that was read before the version. */
export const withFirstTsc: Wrap = changedRdtscp((first, { vcpu }) => ({ tsc: first.tsc, vcpu }));

export const withoutClamp: Wrap = (cpu) =>
  changed(cpu, {
    load64: (address) => (address === LAST_VALUE ? 0n : cpu.load64(address)),
    compareExchange64: (_address, expected) => expected,
  });

/** The latest time given so far is replaced by an earlier one too. */
export const withoutClampTest: Wrap = (cpu) => {
  let latest = 0n;
  return changed(cpu, {
    load64(address) {
      if (address !== LAST_VALUE) return cpu.load64(address);
      latest = cpu.load64(address);
      return -1n;
    },
    compareExchange64(address, expected, desired) {
      const found = cpu.compareExchange64(address, latest, desired);
      return found === latest ? expected : found;
    },
  });
};

/** An exchange that found another value than expected is taken for done. */
export const withoutExchangeRetry: Wrap = (cpu) =>
  changed(cpu, {
    compareExchange64(address, expected, desired) {
      cpu.compareExchange64(address, expected, desired);
      return expected;
    },
  });
