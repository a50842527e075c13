/**
 * ELF, 64-bit and little-endian: the headers of a file, of its segments and sections, its symbols and its dynamic
 * entries. A shared object is written with them and a core file (a guest's memory, as QEMU and kdump leave it) is read.
 *
 *   file header -> program headers (what is loaded where), section headers (names for tools; the loader looks at none)
 *   PT_DYNAMIC segment -> entries (tag, value) up to DT_NULL -> DT_SYMTAB, DT_STRTAB, DT_HASH
 */
import type { Struct } from './struct.ts';

/** "\x7fELF" as a little-endian u32: the first word of every ELF file. */
export const ELF_MAGIC = 0x464c457f;

/** e_ident, byte by byte. */
export const ELFCLASS32 = 1;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;
export const ELFDATA2MSB = 2;
export const EV_CURRENT = 1;
export const ELFOSABI_NONE = 0;

export const ELF64_HEADER_BYTES = 64;

export const ELF64_HEADER_LAYOUT = {
  magic: ['u32', 0],
  class: ['u8', 4],
  data: ['u8', 5],
  identVersion: ['u8', 6],
  osAbi: ['u8', 7],
  type: ['u16', 16],
  machine: ['u16', 18],
  version: ['u32', 20],
  entry: ['u64', 24],
  programHeadersOffset: ['u64', 32],
  sectionHeadersOffset: ['u64', 40],
  flags: ['u32', 48],
  headerBytes: ['u16', 52],
  programHeaderBytes: ['u16', 54],
  programHeaders: ['u16', 56],
  sectionHeaderBytes: ['u16', 58],
  sectionHeaders: ['u16', 60],
  sectionNamesIndex: ['u16', 62],
} as const;

export type Elf64Header = Struct<typeof ELF64_HEADER_LAYOUT>;

/** `type` of the file. */
export const ET_REL = 1;
export const ET_EXEC = 2;
export const ET_DYN = 3;
export const ET_CORE = 4;

export const EM_386 = 3;
export const EM_X86_64 = 62;

/** `programHeaders` where there are more than it can say: the true number is `info` of section header 0. */
export const PN_XNUM = 0xffff;

export const ELF64_PROGRAM_HEADER_BYTES = 56;

/** One segment: `fileBytes` at `offset` appear at `virtualAddress`, and zeroes up to `memoryBytes`. */
export const ELF64_PROGRAM_HEADER_LAYOUT = {
  type: ['u32', 0],
  flags: ['u32', 4],
  offset: ['u64', 8],
  virtualAddress: ['u64', 16],
  physicalAddress: ['u64', 24],
  fileBytes: ['u64', 32],
  memoryBytes: ['u64', 40],
  align: ['u64', 48],
} as const;

export type Elf64ProgramHeader = Struct<typeof ELF64_PROGRAM_HEADER_LAYOUT>;

export const PT_NULL = 0;
export const PT_LOAD = 1;
export const PT_DYNAMIC = 2;
export const PT_NOTE = 4;
export const PT_PHDR = 6;
/** Its flags are those that the object wants of the stack; one without this header asks for an executable stack. */
export const PT_GNU_STACK = 0x6474e551;
/** The part that the loader makes read-only once it has relocated it. */
export const PT_GNU_RELRO = 0x6474e552;

export const PF_X = 1;
export const PF_W = 2;
export const PF_R = 4;

export const ELF64_SECTION_HEADER_BYTES = 64;

export const ELF64_SECTION_HEADER_LAYOUT = {
  name: ['u32', 0],
  type: ['u32', 4],
  flags: ['u64', 8],
  address: ['u64', 16],
  offset: ['u64', 24],
  bytes: ['u64', 32],
  link: ['u32', 40],
  info: ['u32', 44],
  align: ['u64', 48],
  entryBytes: ['u64', 56],
} as const;

export type Elf64SectionHeader = Struct<typeof ELF64_SECTION_HEADER_LAYOUT>;

export const SHN_UNDEF = 0;
export const SHN_ABS = 0xfff1;

export const SHT_NULL = 0;
export const SHT_PROGBITS = 1;
export const SHT_SYMTAB = 2;
export const SHT_STRTAB = 3;
export const SHT_HASH = 5;
export const SHT_DYNAMIC = 6;
export const SHT_NOTE = 7;
export const SHT_NOBITS = 8;
export const SHT_DYNSYM = 11;

export const SHF_WRITE = 1;
export const SHF_ALLOC = 2;
export const SHF_EXECINSTR = 4;

export const ELF64_SYMBOL_BYTES = 24;

/** `info`: binding in the high half, type in the low one; see `symbolInfo`. `section`: SHN_UNDEF where not defined here. */
export const ELF64_SYMBOL_LAYOUT = {
  name: ['u32', 0],
  info: ['u8', 4],
  other: ['u8', 5],
  section: ['u16', 6],
  value: ['u64', 8],
  bytes: ['u64', 16],
} as const;

export type Elf64Symbol = Struct<typeof ELF64_SYMBOL_LAYOUT>;

export const STB_LOCAL = 0;
export const STB_GLOBAL = 1;
export const STB_WEAK = 2;
export const STT_NOTYPE = 0;
export const STT_OBJECT = 1;
export const STT_FUNC = 2;
export const STT_SECTION = 3;
/** `other` of a symbol. */
export const STV_DEFAULT = 0;
export const STV_HIDDEN = 2;

/** A symbol's `info` byte. */
export const symbolInfo = (binding: number, type: number): number => ((binding << 4) | (type & 0xf)) & 0xff;

export const ELF64_DYNAMIC_BYTES = 16;

export const ELF64_DYNAMIC_LAYOUT = { tag: ['u64', 0], value: ['u64', 8] } as const;

export type Elf64Dynamic = Struct<typeof ELF64_DYNAMIC_LAYOUT>;

export const DT_NULL = 0n;
export const DT_HASH = 4n;
export const DT_STRTAB = 5n;
export const DT_SYMTAB = 6n;
/** Bytes of the string table. */
export const DT_STRSZ = 10n;
/** Bytes of one symbol. */
export const DT_SYMENT = 11n;
export const DT_SONAME = 14n;
export const DT_FLAGS = 30n;
/** In DT_FLAGS: resolve every symbol at load time. */
export const DF_BIND_NOW = 8n;

/** DT_HASH: two counts (u32 buckets, u32 chains = symbols), then the buckets, then the chains. */
export const HASH_HEADER_BYTES = 8;

/** The System V hash of a symbol's name, for DT_HASH. Names are ASCII. */
export function elfHash(name: string): number {
  let hash = 0;
  for (let at = 0; at < name.length; at++) {
    hash = (hash << 4) + name.charCodeAt(at);
    const high = hash & 0xf0000000;
    hash = (hash ^ (high >>> 24)) & ~high; // 28 bits are left
  }
  return hash;
}
