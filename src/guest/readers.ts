/** The readers by name. `cached` keeps its line in its caller: one call of `readers.cached()` makes one reader. */
import { before } from './before.ts';
import { cached, emptyLine } from './cached.ts';
import type { Reader } from './cpu.ts';
import { freebsd } from './freebsd.ts';
import { landed } from './landed.ts';
import { relaxed } from './relaxed.ts';
import { rfc } from './rfc.ts';

/** Makes a reader by its name: `READERS.landed()`. Each call of `cached` makes one with a line of its own, for one thread. */
export const READERS = {
  before: () => before,
  rfc: () => rfc,
  landed: () => landed,
  cached: () => {
    const line = emptyLine();
    return (cpu, records) => cached(cpu, records, line);
  },
  relaxed: () => relaxed,
  freebsd: () => freebsd,
} as const satisfies Record<string, () => Reader>;

/** A reader's name. */
export type ReaderName = keyof typeof READERS;
