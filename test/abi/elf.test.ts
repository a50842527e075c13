import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  ELF_MAGIC,
  ELF64_DYNAMIC_BYTES,
  ELF64_DYNAMIC_LAYOUT,
  ELF64_HEADER_BYTES,
  ELF64_HEADER_LAYOUT,
  ELF64_PROGRAM_HEADER_BYTES,
  ELF64_PROGRAM_HEADER_LAYOUT,
  ELF64_SECTION_HEADER_BYTES,
  ELF64_SECTION_HEADER_LAYOUT,
  ELF64_SYMBOL_BYTES,
  ELF64_SYMBOL_LAYOUT,
  ELFCLASS64,
  ELFDATA2LSB,
  EM_X86_64,
  ET_DYN,
  ET_EXEC,
  elfHash,
  PT_DYNAMIC,
  PT_GNU_STACK,
  PT_LOAD,
  STB_GLOBAL,
  STB_WEAK,
  STT_FUNC,
  STT_OBJECT,
  symbolInfo,
} from '../../src/abi/elf.ts';
import { decodeStruct, extentOf } from '../../src/abi/struct.ts';

test('every ELF64 layout fills its size', () => {
  assert.equal(extentOf(ELF64_HEADER_LAYOUT), ELF64_HEADER_BYTES);
  assert.equal(extentOf(ELF64_PROGRAM_HEADER_LAYOUT), ELF64_PROGRAM_HEADER_BYTES);
  assert.equal(extentOf(ELF64_SECTION_HEADER_LAYOUT), ELF64_SECTION_HEADER_BYTES);
  assert.equal(extentOf(ELF64_SYMBOL_LAYOUT), ELF64_SYMBOL_BYTES);
  assert.equal(extentOf(ELF64_DYNAMIC_LAYOUT), ELF64_DYNAMIC_BYTES);
});

test('the file that runs this test decodes as what it is', (t) => {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return t.skip('the executable here is no x86-64 ELF file');
  const { buffer, byteOffset, byteLength } = readFileSync(process.execPath);
  const view = new DataView(buffer, byteOffset, byteLength);
  const header = decodeStruct(ELF64_HEADER_LAYOUT, view);
  assert.equal(header.magic, ELF_MAGIC);
  assert.equal(header.class, ELFCLASS64);
  assert.equal(header.data, ELFDATA2LSB);
  assert.equal(header.machine, EM_X86_64);
  assert.ok(header.type === ET_EXEC || header.type === ET_DYN);
  assert.equal(header.headerBytes, ELF64_HEADER_BYTES);
  assert.equal(header.programHeaderBytes, ELF64_PROGRAM_HEADER_BYTES);
  assert.equal(header.sectionHeaderBytes, ELF64_SECTION_HEADER_BYTES);
  const types = Array.from(
    { length: header.programHeaders },
    (_, index) =>
      decodeStruct(
        ELF64_PROGRAM_HEADER_LAYOUT,
        view,
        Number(header.programHeadersOffset) + index * ELF64_PROGRAM_HEADER_BYTES,
      ).type,
  );
  for (const type of [PT_LOAD, PT_DYNAMIC, PT_GNU_STACK]) assert.ok(types.includes(type), `no segment of type ${type}`);
});

test('symbolInfo() puts the binding over the type', () => {
  assert.equal(symbolInfo(STB_GLOBAL, STT_FUNC), 0x12);
  assert.equal(symbolInfo(STB_WEAK, STT_OBJECT), 0x21);
  assert.equal(symbolInfo(15, 15), 0xff);
});

test('elfHash() gives the hashes of the System V ABI', () => {
  assert.equal(elfHash(''), 0);
  assert.equal(elfHash('printf'), 0x077905a6);
  assert.equal(elfHash('exit'), 0x0006cf04);
  assert.equal(elfHash('syscall'), 0x0b09985c);
  assert.equal(elfHash('flapenguin.me'), 0x03987915);
  for (const name of ['a'.repeat(100), 'kvmclock_landed_ns']) assert.ok(elfHash(name) < 2 ** 28);
});
