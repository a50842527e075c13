/** Readers as a thread of the simulated machine is told of them: functions do not go through postMessage, names do. */
import type { Reader } from '../../guest/cpu.ts';
import { rawTsc } from '../../guest/raw-tsc.ts';
import { READERS, type ReaderName } from '../../guest/readers.ts';
import { clockGettimeReader } from './kernel.ts';

/** The bare TSC, in cycles: for timing alone. */
export const RAW_TSC = 'raw-tsc';

/** CLOCK_MONOTONIC by the bases that the guest's kernel keeps, the record read inside (kernel.ts). */
export const CLOCK_GETTIME = 'clock-gettime';

/** One of READERS, one of the two above, or what a module exports: a function that makes a reader. */
export type ReaderSource = ReaderName | typeof RAW_TSC | typeof CLOCK_GETTIME | ReaderModule;

export interface ReaderModule {
  readonly module: string;
  readonly name: string;
}

export function readerName(source: ReaderSource): string {
  return typeof source === 'string' ? source : source.name;
}

/** A reader of the calling thread's own. */
export async function loadReader(source: ReaderSource): Promise<Reader> {
  if (source === RAW_TSC) return rawTsc;
  if (source === CLOCK_GETTIME) return clockGettimeReader;
  if (typeof source === 'string') return READERS[source]();
  const exported: unknown = (await import(source.module))[source.name];
  if (typeof exported !== 'function') throw new Error(`${source.module} exports no function ${source.name}`);
  return exported() as Reader;
}
