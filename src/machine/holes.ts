/** Where a sparse file has no data: an image of a big guest is mostly holes, and reading them costs as much as data. */
import { isUnavailable, openSys } from './sys.ts';

/** lseek's `whence`: to the first byte at or after the offset that is not in a hole. */
const SEEK_DATA = 3;
const ENXIO = 6;

/**
 * The first offset at or after `from` where the file behind `fd` has data; undefined where there is none up to its end.
 * Where this cannot be asked (no node:ffi, a file system without holes) it is `from`: read on. Moves the file's offset.
 */
export function nextData(fd: number, from: number): number | undefined {
  const sys = openSys();
  if (isUnavailable(sys)) return from;
  const found = sys.libc.lseek(fd, BigInt(from), SEEK_DATA);
  if (found !== -1n) return Number(found);
  return sys.errno() === ENXIO ? undefined : from;
}
