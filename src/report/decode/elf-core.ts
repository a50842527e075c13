/** The segments of an ELF core: which bytes of the file were at which addresses of the guest or process. */
import {
  ELF_MAGIC,
  ELF64_HEADER_BYTES,
  ELF64_HEADER_LAYOUT,
  ELF64_PROGRAM_HEADER_BYTES,
  ELF64_PROGRAM_HEADER_LAYOUT,
  ELF64_SECTION_HEADER_BYTES,
  ELF64_SECTION_HEADER_LAYOUT,
  ELFCLASS64,
  ELFDATA2LSB,
  type Elf64Header,
  ET_CORE,
  PN_XNUM,
  PT_LOAD,
} from '../../abi/elf.ts';
import { decodeStruct } from '../../abi/struct.ts';

/** File bytes `offset`..`offset + bytes - 1`, and where they were. Addresses are u64. */
export interface Segment {
  readonly offset: number;
  readonly bytes: number;
  readonly virtualAddress: bigint;
  readonly physicalAddress: bigint;
}

export interface Core {
  readonly segments: readonly Segment[];
  /** Bytes that the segments claim and that lie beyond the end of the file. */
  readonly missingBytes: bigint;
}

/** A core that cannot be taken for one; `message` says why, to follow "FILE". */
export class CoreError extends Error {
  override readonly name = 'CoreError';
}

/** Reads up to `length` bytes of the file at `offset`; fewer only at its end. */
export type ReadFile = (offset: number, length: number) => Uint8Array;

const MOST_SEGMENTS = 1_000_000;

/** The file's segments; undefined where it is no ELF core, so is to be taken as it is. Throws CoreError on a damaged one. */
export function readCore(read: ReadFile, fileBytes: number): Core | undefined {
  const start = viewOf(read(0, ELF64_HEADER_BYTES));
  if (start.byteLength < 18 || start.getUint32(0, true) !== ELF_MAGIC) return undefined;
  const isCore = start.getUint16(16, true) === ET_CORE;
  if (!isCore) return undefined;
  if (start.getUint8(4) !== ELFCLASS64 || start.getUint8(5) !== ELFDATA2LSB) {
    throw new CoreError('is an ELF core, but not a 64-bit little-endian one');
  }
  if (start.byteLength < ELF64_HEADER_BYTES) throw new CoreError('is an ELF core cut off within its header');
  return segmentsOf(read, decodeStruct(ELF64_HEADER_LAYOUT, start), BigInt(fileBytes));
}

function segmentsOf(read: ReadFile, header: Elf64Header, fileBytes: bigint): Core {
  const count = header.programHeaders === PN_XNUM ? countBeyond(read, header, fileBytes) : header.programHeaders;
  const step = header.programHeaderBytes;
  const tableEnd = header.programHeadersOffset + BigInt(count) * BigInt(step);
  if (step !== ELF64_PROGRAM_HEADER_BYTES)
    throw new CoreError(`is an ELF core whose program headers are ${step} bytes each`);
  if (count > MOST_SEGMENTS) throw new CoreError(`is an ELF core that claims ${count} segments`);
  if (tableEnd > fileBytes)
    throw new CoreError(`is an ELF core whose program headers end at byte ${tableEnd}, beyond its end`);
  const table = viewOf(read(Number(header.programHeadersOffset), count * step));
  const segments: Segment[] = [];
  let missingBytes = 0n;
  for (let index = 0; index < count; index++) {
    const program = decodeStruct(ELF64_PROGRAM_HEADER_LAYOUT, table, index * step);
    if (program.type !== PT_LOAD) continue;
    const left = program.offset < fileBytes ? fileBytes - program.offset : 0n;
    const bytes = program.fileBytes < left ? program.fileBytes : left;
    missingBytes += program.fileBytes - bytes;
    if (bytes === 0n) continue;
    const { virtualAddress, physicalAddress } = program;
    segments.push({ offset: Number(program.offset), bytes: Number(bytes), virtualAddress, physicalAddress });
  }
  return { segments, missingBytes };
}

/** The number of program headers where the header's 16 bits are too few: it is in section header 0. */
function countBeyond(read: ReadFile, header: Elf64Header, fileBytes: bigint): number {
  const end = header.sectionHeadersOffset + BigInt(ELF64_SECTION_HEADER_BYTES);
  if (header.sectionHeadersOffset === 0n || end > fileBytes) {
    throw new CoreError('is an ELF core without the section header that counts its segments');
  }
  const section = viewOf(read(Number(header.sectionHeadersOffset), ELF64_SECTION_HEADER_BYTES));
  return decodeStruct(ELF64_SECTION_HEADER_LAYOUT, section).info;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
