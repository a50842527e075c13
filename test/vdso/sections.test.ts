/** The image's section and program headers, held to each other as a linker or a debugger relies on them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as elf from '../../src/abi/elf.ts';
import { decodeStruct } from '../../src/abi/struct.ts';
import { clockCode, DATA_BYTES } from '../../src/vdso/clock.ts';
import { buildImage } from '../../src/vdso/image.ts';
import { measureCode } from '../../src/vdso/measure.ts';

const clock = buildImage(clockCode(), 'kvmclock.so', DATA_BYTES);
const images = { clock, measure: buildImage(measureCode(), 'kvmclock-measure.so', 8) };

const viewOf = (file: Uint8Array) => new DataView(file.buffer, file.byteOffset, file.byteLength);
const headerOf = (file: Uint8Array) => decodeStruct(elf.ELF64_HEADER_LAYOUT, viewOf(file));

function segmentHeaders(file: Uint8Array) {
  const { programHeaders, programHeadersOffset } = headerOf(file);
  return Array.from({ length: programHeaders }, (_, index) => {
    const at = Number(programHeadersOffset) + index * elf.ELF64_PROGRAM_HEADER_BYTES;
    return decodeStruct(elf.ELF64_PROGRAM_HEADER_LAYOUT, viewOf(file), at);
  });
}

function sections(file: Uint8Array) {
  const { sectionHeaders, sectionHeadersOffset, sectionNamesIndex } = headerOf(file);
  const headers = Array.from({ length: sectionHeaders }, (_, index) => {
    const at = Number(sectionHeadersOffset) + index * elf.ELF64_SECTION_HEADER_BYTES;
    return decodeStruct(elf.ELF64_SECTION_HEADER_LAYOUT, viewOf(file), at);
  });
  const names = Number(headers[sectionNamesIndex]!.offset);
  return headers.map((header) => {
    const name = file.subarray(names + header.name, file.indexOf(0, names + header.name));
    return { ...header, name: new TextDecoder().decode(name) };
  });
}

const sectionOf = (file: Uint8Array, wanted: string) => sections(file).find(({ name }) => name === wanted)!;

function holdSections(file: Uint8Array): void {
  const segments = segmentHeaders(file).filter(({ type }) => type === elf.PT_LOAD);
  const held = sections(file).filter(({ flags }) => (flags & BigInt(elf.SHF_ALLOC)) !== 0n);
  const rights = new Map([
    [elf.SHF_ALLOC, elf.PF_R],
    [elf.SHF_ALLOC | elf.SHF_EXECINSTR, elf.PF_R | elf.PF_X],
    [elf.SHF_ALLOC | elf.SHF_WRITE, elf.PF_R | elf.PF_W],
  ]);
  assert.equal(held.length, 6);
  for (const { name, flags, address, bytes, align } of held) {
    assert.ok(align > 0n && (align & (align - 1n)) === 0n && address % align === 0n, `${name} aligned to ${align}`);
    const around = segments.filter(
      ({ virtualAddress: at, memoryBytes }) => at <= address && address + bytes <= at + memoryBytes,
    );
    assert.deepEqual(
      around.map((segment) => segment.flags),
      [rights.get(Number(flags))],
      name,
    );
  }
}

function holdHash(file: Uint8Array): void {
  const [hash, symbols] = [sectionOf(file, '.hash'), sectionOf(file, '.dynsym')];
  const view = new DataView(file.buffer, Number(hash.offset), Number(hash.bytes));
  const [buckets, chains] = [view.getUint32(0, true), view.getUint32(4, true)];
  assert.equal(chains, Number(symbols.bytes) / elf.ELF64_SYMBOL_BYTES);
  assert.equal(hash.bytes, BigInt(elf.HASH_HEADER_BYTES + 4 * (buckets + chains)));
}

for (const [name, image] of Object.entries(images)) {
  describe(`the ${name} image`, () => {
    test('every section stands where its alignment says, in the one segment that has its rights', () =>
      holdSections(image.file));

    test('its hash has a chain for every symbol of the table, and no word more', () => holdHash(image.file));

    test('its section headers stand behind everything else, aligned, and end the file', () => {
      const { sectionHeaders, sectionHeadersOffset } = headerOf(image.file);
      assert.equal(sectionHeadersOffset % 8n, 0n);
      assert.equal(
        sectionHeadersOffset + BigInt(sectionHeaders * elf.ELF64_SECTION_HEADER_BYTES),
        BigInt(image.file.length),
      );
      for (const { name, type, offset, bytes } of sections(image.file)) {
        assert.ok(type === elf.SHT_NOBITS || offset + bytes <= sectionHeadersOffset, name);
      }
    });

    test('it has no entry, and asks for no size of the stack', () => {
      assert.equal(headerOf(image.file).entry, 0n);
      const stack = segmentHeaders(image.file).find(({ type }) => type === elf.PT_GNU_STACK)!;
      const { offset, virtualAddress, physicalAddress, fileBytes, memoryBytes } = stack;
      assert.deepEqual([offset, virtualAddress, physicalAddress, fileBytes, memoryBytes], [0n, 0n, 0n, 0n, 0n]);
    });
  });
}

test('those checks catch a section that is not where its segment is, or not aligned, and a symbol without a chain', () => {
  const patched = (at: number, value: number) => {
    const file = clock.file.slice();
    file[at] = value;
    return file;
  };
  const field = (section: number, at: number) =>
    Number(headerOf(clock.file).sectionHeadersOffset) + section * elf.ELF64_SECTION_HEADER_BYTES + at;
  const { address, align } = elf.ELF64_SECTION_HEADER_LAYOUT;
  const [HASH, BSS] = [1, 6];
  assert.throws(() => holdSections(patched(field(BSS, address[1] + 2), 1)), /\.bss/);
  assert.throws(() => holdSections(patched(field(HASH, align[1]), 9)), /\.hash/);
  assert.throws(() => holdHash(patched(Number(sectionOf(clock.file, '.hash').offset) + 4, clock.symbols.length)));
});
