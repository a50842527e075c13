/**
 * The ELF shared object around the code: what a loader needs to map it, and the section headers that readelf and objdump
 * want.
 *
 *   0x0000  R    headers, symbols, their names and hash, the dynamic entries
 *   0x1000  RX   code
 *   then    RW   the image's own words, zero at load
 *
 * Nothing in it holds an absolute address, so there is nothing to relocate: it runs wherever it is mapped. No segment is
 * both writable and executable, and PT_GNU_STACK asks for a stack that is not executable.
 */
import * as elf from '../abi/elf.ts';
import { encodeStruct } from '../abi/struct.ts';
import type { Code, CodeSymbol } from './code.ts';
import { buildTables, end, type Placed, StringTable, type Tables } from './elf-tables.ts';

const PAGE = 0x1000;
const CODE_AT = PAGE;
const SEGMENTS = 5;

/** A loadable image. `codeAt`, `dataAt`: where its code and its own words are mapped, from the address it is loaded at. */
export interface Image {
  readonly file: Uint8Array;
  readonly symbols: readonly CodeSymbol[];
  readonly codeAt: number;
  readonly dataAt: number;
  readonly dataBytes: number;
}

/** Sections in the order of the file; `.dynsym` links to `.dynstr`, and so on, by their place in this list. */
const SECTIONS = ['', '.hash', '.dynsym', '.dynstr', '.dynamic', '.text', '.bss', '.shstrtab'] as const;
type SectionName = (typeof SECTIONS)[number];
const sectionIndex = (name: SectionName): number => SECTIONS.indexOf(name);

/** `soname`: what the linker records in a program linked against the object. `dataBytes`: the size of its own words. */
export function buildImage(code: Code, soname: string, dataBytes: number): Image {
  const dataAt = CODE_AT + Math.ceil(code.bytes / PAGE) * PAGE;
  const text: Placed = { at: CODE_AT, bytes: code.link(dataAt - CODE_AT) };
  const tablesAt = elf.ELF64_HEADER_BYTES + SEGMENTS * elf.ELF64_PROGRAM_HEADER_BYTES;
  const tables = buildTables(code.symbols, CODE_AT, sectionIndex('.text'), soname, tablesAt);
  if (end(tables.dynamic) > PAGE) throw new Error(`the image's tables end at ${end(tables.dynamic)}, beyond one page`);

  const names = new StringTable(SECTIONS.slice(1));
  const namesPlaced: Placed = { at: end(text), bytes: names.bytes };
  const sectionsAt = Math.ceil(end(namesPlaced) / 8) * 8;
  const file = new Uint8Array(sectionsAt + SECTIONS.length * elf.ELF64_SECTION_HEADER_BYTES);
  const view = new DataView(file.buffer);
  for (const { at, bytes } of [tables.hash, tables.symbols, tables.strings, tables.dynamic, text, namesPlaced]) {
    file.set(bytes, at);
  }
  writeFileHeader(view, sectionsAt);
  writeSegments(view, end(tables.dynamic), tables.dynamic, text, dataAt, dataBytes);
  writeSections(view, sectionsAt, names, tables, text, namesPlaced, dataAt, dataBytes);
  return { file, symbols: code.symbols, codeAt: CODE_AT, dataAt, dataBytes };
}

function writeFileHeader(view: DataView, sectionsAt: number): void {
  const header = {
    magic: elf.ELF_MAGIC,
    class: elf.ELFCLASS64,
    data: elf.ELFDATA2LSB,
    identVersion: elf.EV_CURRENT,
    osAbi: elf.ELFOSABI_NONE,
    type: elf.ET_DYN,
    machine: elf.EM_X86_64,
    version: elf.EV_CURRENT,
    entry: 0n,
    programHeadersOffset: BigInt(elf.ELF64_HEADER_BYTES),
    sectionHeadersOffset: BigInt(sectionsAt),
    flags: 0,
    headerBytes: elf.ELF64_HEADER_BYTES,
    programHeaderBytes: elf.ELF64_PROGRAM_HEADER_BYTES,
    programHeaders: SEGMENTS,
    sectionHeaderBytes: elf.ELF64_SECTION_HEADER_BYTES,
    sectionHeaders: SECTIONS.length,
    sectionNamesIndex: sectionIndex('.shstrtab'),
  };
  encodeStruct(elf.ELF64_HEADER_LAYOUT, header, view);
}

function writeSegments(
  view: DataView,
  headersEnd: number,
  dynamic: Placed,
  text: Placed,
  dataAt: number,
  dataBytes: number,
): void {
  const segments = [
    { type: elf.PT_LOAD, flags: elf.PF_R, offset: 0, at: 0, inFile: headersEnd, inMemory: headersEnd, align: PAGE },
    { type: elf.PT_LOAD, flags: elf.PF_R | elf.PF_X, ...inFile(text), align: PAGE },
    {
      type: elf.PT_LOAD,
      flags: elf.PF_R | elf.PF_W,
      offset: 0,
      at: dataAt,
      inFile: 0,
      inMemory: dataBytes,
      align: PAGE,
    },
    { type: elf.PT_DYNAMIC, flags: elf.PF_R, ...inFile(dynamic), align: 8 },
    { type: elf.PT_GNU_STACK, flags: elf.PF_R | elf.PF_W, offset: 0, at: 0, inFile: 0, inMemory: 0, align: 16 },
  ];
  segments.forEach(({ type, flags, offset, at, inFile, inMemory, align }, index) => {
    const header = {
      type,
      flags,
      offset: BigInt(offset),
      virtualAddress: BigInt(at),
      physicalAddress: BigInt(at),
      fileBytes: BigInt(inFile),
      memoryBytes: BigInt(inMemory),
      align: BigInt(align),
    };
    const place = elf.ELF64_HEADER_BYTES + index * elf.ELF64_PROGRAM_HEADER_BYTES;
    encodeStruct(elf.ELF64_PROGRAM_HEADER_LAYOUT, header, view, place);
  });
}

/** A segment or section that stands in memory where it stands in the file. */
function inFile({ at, bytes }: Placed): { offset: number; at: number; inFile: number; inMemory: number } {
  return { offset: at, at, inFile: bytes.length, inMemory: bytes.length };
}

function writeSections(
  view: DataView,
  sectionsAt: number,
  names: StringTable,
  tables: Tables,
  text: Placed,
  namesPlaced: Placed,
  dataAt: number,
  dataBytes: number,
): void {
  const symbolsLink = { link: sectionIndex('.dynsym') };
  const stringsLink = { link: sectionIndex('.dynstr') };
  const put = (
    name: SectionName,
    type: number,
    flags: number,
    placed: { at: number; offset?: number; length: number },
    more: { link?: number; info?: number; align?: number; entry?: number } = {},
  ): void => {
    const header = {
      name: names.at(name),
      type,
      flags: BigInt(flags),
      address: BigInt(placed.at),
      offset: BigInt(placed.offset ?? placed.at),
      bytes: BigInt(placed.length),
      link: more.link ?? 0,
      info: more.info ?? 0,
      align: BigInt(more.align ?? 1),
      entryBytes: BigInt(more.entry ?? 0),
    };
    const place = sectionsAt + sectionIndex(name) * elf.ELF64_SECTION_HEADER_BYTES;
    encodeStruct(elf.ELF64_SECTION_HEADER_LAYOUT, header, view, place);
  };
  const of = ({ at, bytes }: Placed) => ({ at, length: bytes.length });
  put('.hash', elf.SHT_HASH, elf.SHF_ALLOC, of(tables.hash), { ...symbolsLink, align: 8, entry: 4 });
  const symbolTable = { ...stringsLink, info: 1, align: 8, entry: elf.ELF64_SYMBOL_BYTES };
  put('.dynsym', elf.SHT_DYNSYM, elf.SHF_ALLOC, of(tables.symbols), symbolTable);
  put('.dynstr', elf.SHT_STRTAB, elf.SHF_ALLOC, of(tables.strings));
  const dynamic = { ...stringsLink, align: 8, entry: elf.ELF64_DYNAMIC_BYTES };
  put('.dynamic', elf.SHT_DYNAMIC, elf.SHF_ALLOC, of(tables.dynamic), dynamic);
  put('.text', elf.SHT_PROGBITS, elf.SHF_ALLOC | elf.SHF_EXECINSTR, of(text), { align: 64 });
  const bss = { at: dataAt, offset: namesPlaced.at, length: dataBytes };
  put('.bss', elf.SHT_NOBITS, elf.SHF_ALLOC | elf.SHF_WRITE, bss, { align: 8 });
  put('.shstrtab', elf.SHT_STRTAB, 0, { at: 0, offset: namesPlaced.at, length: namesPlaced.bytes.length });
}
