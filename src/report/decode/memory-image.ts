/** A file of memory: raw bytes, or an ELF core. Opened, read in pieces, and never as a whole. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { nextData } from '../../machine/holes.ts';
import { type Core, CoreError, readCore, type Segment } from './elf-core.ts';

export interface MemoryImage {
  readonly file: string;
  readonly bytes: number;
  /** Undefined for raw bytes. */
  readonly core: Core | undefined;
  /** Fills `into` from the file at `offset`; returns the bytes read, fewer only at the file's end. */
  read(offset: number, into: Uint8Array): number;
  /** The first offset at or after this one that is not in a hole; undefined where only holes follow. */
  nextData(offset: number): number | undefined;
  close(): void;
}

/** A file that cannot be used. `message`: what was tried, why it failed, what to do. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
}

const { O_RDONLY, O_NONBLOCK } = constants;

/** Opens `file`. `raw`: take an ELF core for raw bytes as well. Throws ImageError. */
export function openImage(file: string, raw = false): MemoryImage {
  const fd = attempt(file, 'open', () => openSync(file, O_RDONLY | O_NONBLOCK)); // a pipe without a writer would block
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) {
      const kind = stat.isDirectory() ? 'a directory' : 'a device or a pipe';
      throw new ImageError(`cannot read ${file}: it is ${kind}; give a file that holds memory`);
    }
    const read = (offset: number, into: Uint8Array) => attempt(file, 'read', () => readFully(fd, offset, into));
    const core = raw ? undefined : coreOf(file, read, stat.size);
    return {
      file,
      bytes: stat.size,
      core,
      read,
      nextData: (offset) => nextData(fd, offset),
      close: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The segment that holds `bytes` bytes from the virtual, or else the physical, address on. */
export function segmentAt(
  core: Core,
  address: bigint,
  bytes: number,
): { segment: Segment; offset: number } | undefined {
  for (const start of ['virtualAddress', 'physicalAddress'] as const) {
    for (const segment of core.segments) {
      const into = address - segment[start];
      if (into >= 0n && into + BigInt(bytes) <= BigInt(segment.bytes)) {
        return { segment, offset: segment.offset + Number(into) };
      }
    }
  }
  return undefined;
}

function readFully(fd: number, offset: number, into: Uint8Array): number {
  let done = 0;
  while (done < into.byteLength) {
    const read = readSync(fd, into, done, into.byteLength - done, offset + done);
    if (read === 0) break;
    done += read;
  }
  return done;
}

function coreOf(file: string, read: MemoryImage['read'], bytes: number): Core | undefined {
  const readFile = (offset: number, length: number) => {
    const into = new Uint8Array(length);
    return into.subarray(0, read(offset, into));
  };
  try {
    return readCore(readFile, bytes);
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    throw new ImageError(`${file} ${error.message}; --raw takes it as bytes`);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; give the path of a memory image or an ELF core',
  ENOTDIR: 'a part of its path is no directory; give the path of a memory image or an ELF core',
  EACCES: 'you may not read it; run as its owner or give it a mode that lets you',
  EPERM: 'you may not read it; run as its owner or give it a mode that lets you',
  EISDIR: 'it is a directory; give a file that holds memory',
  ELOOP: 'its symbolic links go round in a circle; give the path of the file itself',
  ENAMETOOLONG: 'its name is too long; give the path of a memory image or an ELF core',
  EIO: 'reading gave an input/output error; copy what can be read with ddrescue or the like',
};

/** Does `action`, and turns what the system says into an ImageError. */
function attempt<T>(file: string, verb: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new ImageError(`cannot ${verb} ${file}: ${REASONS[code] ?? code}`);
  }
}
