/** What becomes of a reader when one of its steps is left out or moved. */
import { PVCLOCK_TSC_STABLE_BIT, PVTI, PVTI_SIZE } from '../abi/pvti.ts';
import { RECORDS } from './memory-map.ts';
import { changed, type Wrap } from './mutants.ts';

const isVersion = (address: number): boolean => address >= RECORDS && (address - RECORDS) % PVTI_SIZE === PVTI.version;
const isFlags = (address: number): boolean => (address - RECORDS) % PVTI_SIZE === PVTI.flags;

/** The `place`-th read barrier of each round is left out: 1 behind the first look at the version, 2 before the second. */
export function withoutReadBarrier(place: number): Wrap {
  return (cpu) => {
    let barriers = 0;
    return changed(cpu, {
      readBarrier() {
        if (++barriers !== place) cpu.readBarrier();
      },
      relax() {
        barriers = 0;
        cpu.relax();
      },
    });
  };
}

export const withoutReadBarriers: Wrap = (cpu) => changed(cpu, { readBarrier() {} });

/** `cached`: nothing keeps the look at the version behind the TSC read. */
export const withoutBarrierBehindTsc: Wrap = (cpu) => {
  let behindTsc = false;
  return changed(cpu, {
    rdtscOrdered() {
      behindTsc = true;
      return cpu.rdtscOrdered();
    },
    readBarrier() {
      if (!behindTsc) cpu.readBarrier();
      behindTsc = false;
    },
  });
};

export const withoutLoadFence: Wrap = (cpu) => changed(cpu, { loadFence() {} });

/** The TSC with no order. */
export const withPlainRdtsc: Wrap = (cpu) => changed(cpu, { rdtscOrdered: () => cpu.rdtsc() });

/** The second look at the version is skipped: what was read stands. */
export const withoutRetry: Wrap = (cpu) => {
  let first: number | undefined;
  return changed(cpu, {
    load32(address) {
      if (!isVersion(address)) return cpu.load32(address);
      if (first !== undefined) {
        const even = first & ~1;
        first = undefined;
        return even;
      }
      first = cpu.load32(address);
      return first;
    },
    relax() {
      first = undefined;
      cpu.relax();
    },
  });
};

/** An odd version that has not changed is taken for an even one. */
export const acceptingOdd: Wrap = (cpu) =>
  changed(cpu, { load32: (address) => cpu.load32(address) & (isVersion(address) ? ~1 : -1) });

export const withoutStableTest: Wrap = (cpu) =>
  changed(cpu, { load8: (address) => cpu.load8(address) | (isFlags(address) ? PVCLOCK_TSC_STABLE_BIT : 0) });

/** The flags are read before everything else, once. */
export const withStableTestFirst: Wrap = (cpu) => {
  const flags = cpu.load8(RECORDS + PVTI.flags);
  return changed(cpu, { load8: (address) => (isFlags(address) ? flags : cpu.load8(address)) });
};

/** The TSC is read before everything else, once. */
export const withTscFirst: Wrap = (cpu) => {
  const tsc = cpu.rdtscOrdered();
  return changed(cpu, { rdtscOrdered: () => tsc });
};

/** The second question for the vCPU's number is not asked. */
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
