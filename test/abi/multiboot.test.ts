import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as multiboot from '../../src/abi/multiboot.ts';
import { extentOf } from '../../src/abi/struct.ts';

test('the structures are those of the Multiboot specification', () => {
  assert.deepEqual(multiboot.MULTIBOOT_HEADER_LAYOUT, { magic: ['u32', 0], flags: ['u32', 4], checksum: ['u32', 8] });
  assert.equal(multiboot.MULTIBOOT_HEADER_BYTES, extentOf(multiboot.MULTIBOOT_HEADER_LAYOUT));
  assert.deepEqual(multiboot.MULTIBOOT_INFO_LAYOUT, {
    flags: ['u32', 0],
    memoryLower: ['u32', 4],
    memoryUpper: ['u32', 8],
    commandLine: ['u32', 16],
    memoryMapBytes: ['u32', 44],
    memoryMap: ['u32', 48],
  });
  assert.deepEqual(multiboot.MULTIBOOT_MAP_ENTRY_LAYOUT, {
    size: ['u32', 0],
    address: ['u64', 4],
    bytes: ['u64', 12],
    type: ['u32', 20],
  });
  assert.equal(multiboot.MULTIBOOT_MAP_ENTRY_BYTES, extentOf(multiboot.MULTIBOOT_MAP_ENTRY_LAYOUT));
});

test('the numbers are those of the Multiboot specification', () => {
  assert.deepEqual(
    [multiboot.MULTIBOOT_HEADER_MAGIC, multiboot.MULTIBOOT_BOOTLOADER_MAGIC],
    [0x1bad_b002, 0x2bad_b002],
  );
  assert.equal(multiboot.MULTIBOOT_SEARCH_BYTES, 8192);
  assert.equal(multiboot.MULTIBOOT_FLAGS_REQUIRED_MASK, 0xffff);
  const { MULTIBOOT_INFO_MEMORY, MULTIBOOT_INFO_COMMAND_LINE, MULTIBOOT_INFO_MEMORY_MAP } = multiboot;
  assert.deepEqual([MULTIBOOT_INFO_MEMORY, MULTIBOOT_INFO_COMMAND_LINE, MULTIBOOT_INFO_MEMORY_MAP], [1, 4, 0x40]);
  assert.equal(multiboot.MULTIBOOT_MEMORY_AVAILABLE, 1);
  assert.equal(multiboot.MULTIBOOT_FLAGS_SERVED, 0b11, 'pages and memory');
});
