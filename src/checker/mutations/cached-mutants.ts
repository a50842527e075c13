/** What becomes of `cached` when one of its own steps is left out or moved. */
import { PVTI } from '../../abi/pvti.ts';
import { LINE, RECORDS } from '../memory-map.ts';
import { changed, type Wrap } from '../mutants.ts';
import { isVersion } from '../reader-mutants.ts';

/** The version is looked at before the TSC is read. */
export const withVersionBeforeTsc: Wrap = (cpu) => {
  let version: number | undefined;
  return changed(cpu, {
    rdtscOrdered() {
      version = cpu.load32(RECORDS + PVTI.version);
      return cpu.rdtscOrdered();
    },
    load32(address) {
      const known = isVersion(address) ? version : undefined;
      if (known !== undefined) version = undefined;
      return known ?? cpu.load32(address);
    },
  });
};

/** A line that is there is used, whatever its record's version is. */
export const withoutVersionCheck: Wrap = (cpu) => {
  let behindTsc = false;
  return changed(cpu, {
    rdtscOrdered() {
      behindTsc = true;
      return cpu.rdtscOrdered();
    },
    load32(address) {
      if (!behindTsc || !isVersion(address)) return cpu.load32(address);
      behindTsc = false;
      const own = cpu.load32(LINE);
      return (own & 1) === 0 ? own : cpu.load32(address);
    },
  });
};

/** An odd version is held against the line's as an even one is. */
export const withoutOddTest: Wrap = (cpu) => {
  let behindTsc = false;
  let odd: number | undefined;
  return changed(cpu, {
    rdtscOrdered() {
      behindTsc = true;
      return cpu.rdtscOrdered();
    },
    load32(address) {
      const word = cpu.load32(address);
      if (address === LINE && odd !== undefined) {
        const same = word === odd;
        odd = undefined;
        return same ? 0 : word;
      }
      if (!behindTsc || !isVersion(address)) return word;
      behindTsc = false;
      if ((word & 1) === 0) return word;
      odd = word;
      return 0;
    },
  });
};

/** A new line is used with the TSC that was read before it. */
export const withoutSecondRound: Wrap = (cpu) => {
  let tsc = 0n;
  let filled = false;
  let isSecond = false;
  return changed(cpu, {
    rdtscOrdered() {
      if (!isSecond) tsc = cpu.rdtscOrdered();
      return tsc;
    },
    load32(address) {
      if (!isSecond || !isVersion(address)) return cpu.load32(address);
      isSecond = false;
      return cpu.load32(LINE);
    },
    store32(address, value) {
      filled = true;
      cpu.store32(address, value);
    },
    relax() {
      if (filled) isSecond = true;
      else cpu.relax();
    },
  });
};
