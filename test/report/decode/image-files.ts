/** Memory images for the tests: made in a folder of their own, which goes when the test file ends. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
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
  EM_X86_64,
  ET_CORE,
  EV_CURRENT,
  PF_R,
  PN_XNUM,
  PT_LOAD,
  PT_NOTE,
} from '../../../src/abi/elf.ts';
import { encodePvti, type Pvti } from '../../../src/abi/pvti.ts';
import { encodeStruct } from '../../../src/abi/struct.ts';

/** A record as a guest at 2596.145 MHz has it. */
export const RECORD: Pvti = {
  version: 24,
  tscTimestamp: 123_456_789_012n,
  systemTime: 183_845_123_456_789n,
  tscToSystemMul: 3_308_726_820,
  tscShift: -1,
  flags: 1,
};

export const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-images-'));
after(() => rmSync(folder, { recursive: true }));

let files = 0;
const newPath = () => path.join(folder, `image${++files}`);

/** A file of these bytes; its path. */
export function imageFile(bytes: Uint8Array): string {
  const file = newPath();
  writeFileSync(file, bytes);
  return file;
}

/** A sparse file of `length` bytes that begins with `head`, with records at the offsets; its path. */
export function sparseFile(
  length: number,
  offsets: readonly number[],
  record = RECORD,
  head: Uint8Array = new Uint8Array(0),
): string {
  const file = newPath();
  const fd = openSync(file, 'w');
  ftruncateSync(fd, length);
  writeSync(fd, head, 0, head.length, 0);
  for (const offset of offsets) writeSync(fd, recordBytes(record), 0, 32, offset);
  closeSync(fd);
  return file;
}

export function recordBytes(record: Partial<Pvti> = {}): Uint8Array {
  const bytes = new Uint8Array(32);
  encodePvti({ ...RECORD, ...record }, new DataView(bytes.buffer));
  return bytes;
}

/** Zeroes with records in them. */
export function withRecords(length: number, offsets: readonly number[], record: Partial<Pvti> = {}): Uint8Array {
  const bytes = new Uint8Array(length);
  for (const offset of offsets) bytes.set(recordBytes(record), offset);
  return bytes;
}

export interface CoreSegment {
  readonly bytes: Uint8Array;
  readonly virtualAddress?: bigint;
  readonly physicalAddress?: bigint;
  /** Where it is said to be in the file; by itself it follows the one before it. */
  readonly offset?: bigint;
  /** What its header says of its size in the file. */
  readonly claimedBytes?: bigint;
}

/** An ELF core: header, a note, the segments. `manySegments`: their number stands in section header 0. */
export function coreBytes(segments: readonly CoreSegment[], manySegments = false): Uint8Array {
  const headers = segments.length + 1;
  const sectionAt = ELF64_HEADER_BYTES + headers * ELF64_PROGRAM_HEADER_BYTES;
  let end = sectionAt + ELF64_SECTION_HEADER_BYTES;
  const offsets = segments.map(({ bytes }) => {
    const start = end;
    end += bytes.length;
    return start;
  });
  const file = new Uint8Array(end);
  const view = new DataView(file.buffer);
  encodeStruct(
    ELF64_HEADER_LAYOUT,
    {
      ...{ magic: ELF_MAGIC, class: ELFCLASS64, data: ELFDATA2LSB, identVersion: EV_CURRENT, osAbi: 0 },
      ...{ type: ET_CORE, machine: EM_X86_64, version: EV_CURRENT, entry: 0n, flags: 0 },
      ...{
        programHeadersOffset: BigInt(ELF64_HEADER_BYTES),
        sectionHeadersOffset: manySegments ? BigInt(sectionAt) : 0n,
      },
      ...{ headerBytes: ELF64_HEADER_BYTES, programHeaderBytes: ELF64_PROGRAM_HEADER_BYTES },
      ...{ programHeaders: manySegments ? PN_XNUM : headers, sectionHeaderBytes: ELF64_SECTION_HEADER_BYTES },
      ...{ sectionHeaders: manySegments ? 1 : 0, sectionNamesIndex: 0 },
    },
    view,
  );
  if (manySegments) {
    const counted = {
      name: 0,
      type: 0,
      flags: 0n,
      address: 0n,
      offset: 0n,
      bytes: 0n,
      link: 0,
      align: 0n,
      entryBytes: 0n,
    };
    encodeStruct(ELF64_SECTION_HEADER_LAYOUT, { ...counted, info: headers }, view, sectionAt);
  }
  const note = { type: PT_NOTE, flags: 0, offset: 0n, fileBytes: 0n, memoryBytes: 0n, align: 0n };
  encodeStruct(
    ELF64_PROGRAM_HEADER_LAYOUT,
    { ...note, virtualAddress: 0n, physicalAddress: 0n },
    view,
    ELF64_HEADER_BYTES,
  );
  segments.forEach((segment, index) => {
    const fileBytes = segment.claimedBytes ?? BigInt(segment.bytes.length);
    encodeStruct(
      ELF64_PROGRAM_HEADER_LAYOUT,
      {
        ...{ type: PT_LOAD, flags: PF_R, offset: segment.offset ?? BigInt(offsets[index]!), align: 0n },
        ...{ virtualAddress: segment.virtualAddress ?? 0n, physicalAddress: segment.physicalAddress ?? 0n },
        ...{ fileBytes, memoryBytes: fileBytes },
      },
      view,
      ELF64_HEADER_BYTES + (index + 1) * ELF64_PROGRAM_HEADER_BYTES,
    );
    file.set(segment.bytes, offsets[index]!);
  });
  return file;
}
