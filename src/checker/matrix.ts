/** Every combination of the dimensions, small enough that each is explored whole in a second or two. */
import { READERS, type ReaderName } from '../guest/readers.ts';
import type { Memory } from './scenario.ts';
import { type Configuration, DEFAULT_CONFIGURATION, HOSTS, type Update, WRITERS } from './scenarios.ts';

/** The updates that change the records. */
export const MATRIX_UPDATES: readonly Update[] = ['unstable', 'ahead', 'behind', 'set-clock'];

/**
 * One thread with two calls, which fall back on the kernel where no record is stable: the least in which time can step back.
 * `memories`: one or both; `only`: readers to keep.
 */
export function matrix(memories: readonly Memory[], only?: ReaderName): Configuration[] {
  const readers = (Object.keys(READERS) as ReaderName[]).filter((reader) => only === undefined || reader === only);
  return memories.flatMap((memory) =>
    readers.flatMap((reader) =>
      HOSTS.flatMap((host) =>
        WRITERS.flatMap((writer) =>
          MATRIX_UPDATES.map((update): Configuration => {
            return { ...DEFAULT_CONFIGURATION, memory, reader, host, writer, update, calls: 2, kernel: 'fallback' };
          }),
        ),
      ),
    ),
  );
}
