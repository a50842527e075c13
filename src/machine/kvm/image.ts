/** An ELF64 object put into a guest's memory as its program headers say, at an address of our choice. */
import {
  ELF64_HEADER_LAYOUT,
  ELF64_PROGRAM_HEADER_BYTES,
  ELF64_PROGRAM_HEADER_LAYOUT,
  PF_W,
  PF_X,
  PT_LOAD,
} from '../../abi/elf.ts';
import { decodeStruct } from '../../abi/struct.ts';
import type { Image } from '../../vdso/image.ts';
import { PAGE_BYTES } from '../sys.ts';
import { type Access, mapPages } from './guest-memory.ts';
import type { GuestMemory } from './memory.ts';

/** An image in a guest. `end`: the first page behind it. */
export interface LoadedImage {
  readonly symbols: ReadonlyMap<string, number>;
  readonly dataAt: number;
  readonly end: number;
}

/** Copies and maps `image` at `base`, the start of a page. */
export function loadImage(memory: GuestMemory, image: Image, base: number): LoadedImage {
  const file = new DataView(image.file.buffer, image.file.byteOffset, image.file.byteLength);
  const header = decodeStruct(ELF64_HEADER_LAYOUT, file);
  let end = base;
  for (let i = 0; i < header.programHeaders; i++) {
    const at = Number(header.programHeadersOffset) + i * ELF64_PROGRAM_HEADER_BYTES;
    const segment = decodeStruct(ELF64_PROGRAM_HEADER_LAYOUT, file, at);
    if (segment.type !== PT_LOAD) continue;
    const to = base + Number(segment.virtualAddress);
    const offset = Number(segment.offset);
    const bytes = Number(segment.memoryBytes);
    memory
      .slice(to, bytes)
      .fill(0)
      .set(image.file.subarray(offset, offset + Number(segment.fileBytes)));
    mapPages(memory, to, bytes, accessOf(segment.flags));
    end = Math.max(end, Math.ceil((to + bytes) / PAGE_BYTES) * PAGE_BYTES);
  }
  const symbols = new Map(image.symbols.map(({ name, at }) => [name, base + image.codeAt + at]));
  return { symbols, dataAt: base + image.dataAt, end };
}

function accessOf(flags: number): Access {
  if ((flags & PF_X) !== 0) return 'rx';
  return (flags & PF_W) !== 0 ? 'rw' : 'r';
}
