/** What becomes of a reader when one of its steps is left out or moved: the steps that all readers have. */
import { PVCLOCK_TSC_STABLE_BIT, PVTI, PVTI_SIZE } from '../abi/pvti.ts';
import type { Reader } from '../guest/cpu.ts';
import { evenVersion, lineAt, signed8 } from '../guest/sequence.ts';
import { LAST_VALUE, RECORDS, WALL } from './memory-map.ts';
import { changed, type ThreadReader, type Wrap } from './mutants.ts';
import type { ThreadCpu } from './replay.ts';

const inRecords = (address: number): boolean => address >= RECORDS && address < LAST_VALUE;

/** True for the word of any record that stands at `offset` in it. */
export const isRecordWord = (address: number, offset: number): boolean =>
  inRecords(address) && (address - RECORDS) % PVTI_SIZE === offset;

/** True for the version of any record, and of the wall clock. */
export const isVersion = (address: number): boolean => address === WALL || isRecordWord(address, PVTI.version);
const isFlags = (address: number): boolean => isRecordWord(address, PVTI.flags);

/** The read barriers that stand behind a look at the version, behind words of the body, or behind a TSC read, are left out. */
export function withoutReadBarrier(behind: 'version' | 'body' | 'tsc'): Wrap {
  return (cpu) => {
    let last = '';
    const loaded = (address: number): void => {
      if (isVersion(address)) last = 'version';
      else if (inRecords(address) || address > WALL) last = 'body';
    };
    return changed(cpu, {
      load8(address) {
        loaded(address);
        return cpu.load8(address);
      },
      load32(address) {
        loaded(address);
        return cpu.load32(address);
      },
      load64(address) {
        loaded(address);
        return cpu.load64(address);
      },
      rdtscOrdered() {
        last = 'tsc';
        return cpu.rdtscOrdered();
      },
      readBarrier() {
        if (last !== behind) cpu.readBarrier();
      },
    });
  };
}

export const withoutReadBarriers: Wrap = (cpu) => changed(cpu, { readBarrier() {} });

/** The TSC with no order. */
export const withPlainRdtsc: Wrap = (cpu) => changed(cpu, { rdtscOrdered: () => cpu.rdtsc() });

/** An odd version that has not changed is taken for an even one. */
export const acceptingOdd: Wrap = (cpu) =>
  changed(cpu, {
    load32(address) {
      const word = cpu.load32(address);
      return isVersion(address) ? evenVersion(word) : word;
    },
  });

/**
 * Changes what looks at a version are answered: a second look is one with words of the body between it and the first. One behind a TSC
 * read is neither: so `cached` sees whether its line is still good.
 */
function changedLooks(cpu: ThreadCpu, first: (address: number) => number, second: () => number): ThreadCpu {
  let place: 'outside' | 'in body' | 'behind TSC' = 'outside';
  return changed(cpu, {
    rdtscOrdered() {
      place = 'behind TSC';
      return cpu.rdtscOrdered();
    },
    load32(address) {
      const before = place;
      place = isVersion(address) ? 'outside' : inRecords(address) || address > WALL ? 'in body' : place;
      if (!isVersion(address) || before === 'behind TSC') return cpu.load32(address);
      return before === 'in body' ? second() : first(address);
    },
    relax() {
      place = 'outside';
      cpu.relax();
    },
  });
}

/** The second look at the version is skipped: what was read stands. */
export const withoutRetry: Wrap = (cpu) => {
  let even = 0;
  const first = (address: number): number => {
    const version = cpu.load32(address);
    even = evenVersion(version);
    return version;
  };
  return changedLooks(cpu, first, () => even);
};

/** The second look at the version comes before the body is read. */
export const withSecondLookFirst: Wrap = (cpu) => {
  let again = 0;
  const first = (address: number): number => {
    const version = cpu.load32(address);
    cpu.readBarrier();
    again = cpu.load32(address);
    return version;
  };
  return changedLooks(cpu, first, () => again);
};

export const withoutStableTest: Wrap = (cpu) =>
  changed(cpu, { load8: (address) => cpu.load8(address) | (isFlags(address) ? PVCLOCK_TSC_STABLE_BIT : 0) });

/** The flags of record 0 are read before everything else, once. */
export const withStableTestFirst: Wrap = (cpu) => {
  const flags = cpu.load8(RECORDS + PVTI.flags);
  return changed(cpu, { load8: (address) => (isFlags(address) ? flags : cpu.load8(address)) });
};

/** The flags of the record that is used are read when all is done. */
export function withStableTestLast(reader: Reader): ThreadReader {
  return (cpu, records) => {
    const ns = reader(withoutStableTest(cpu), records);
    return (cpu.load8(records + PVTI.flags) & PVCLOCK_TSC_STABLE_BIT) === 0 ? undefined : ns;
  };
}

/** The TSC is read before everything else, once. */
export const withTscFirst: Wrap = (cpu) => {
  const { tsc, vcpu } = cpu.rdtscp();
  return changed(cpu, { rdtscOrdered: () => tsc, rdtsc: () => tsc, rdtscp: () => ({ tsc, vcpu }) });
};

/** The TSC is read when the second look at the version is done. */
export function withTscLast(reader: Reader): ThreadReader {
  return (cpu, records) => {
    const line = { tscTimestamp: 0n, systemTime: 0n, mul: 0, shift: 0 };
    const watched = changed(cpu, {
      rdtscOrdered: () => 0n,
      rdtsc: () => 0n,
      load8(address) {
        const byte = cpu.load8(address);
        if (!isFlags(address)) line.shift = signed8(byte);
        return byte;
      },
      load32(address) {
        const word = cpu.load32(address);
        if (!isVersion(address)) line.mul = word;
        return word;
      },
      load64(address) {
        const word = cpu.load64(address);
        line[(address - RECORDS) % PVTI_SIZE === PVTI.systemTime ? 'systemTime' : 'tscTimestamp'] = word;
        return word;
      },
    });
    if (reader(watched, records) === undefined) return undefined;
    return lineAt(cpu.rdtscOrdered(), line.tscTimestamp, line.systemTime, line.mul, line.shift);
  };
}
