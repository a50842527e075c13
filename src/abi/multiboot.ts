/**
 * Multiboot 1: how a boot loader finds out that it can start an ELF32 file, in what state it starts it, and what it tells it.
 *
 *   EAX = MULTIBOOT_BOOTLOADER_MAGIC, EBX = address of the boot information, 32-bit protected mode, flat segments, no paging
 */
import type { Struct } from './struct.ts';

/** The image's header: in the first 8192 bytes of the file, at a multiple of 4. magic + flags + checksum = 0 mod 2^32. */
export const MULTIBOOT_SEARCH_BYTES = 8192;
export const MULTIBOOT_HEADER_MAGIC = 0x1badb002;
export const MULTIBOOT_HEADER_LAYOUT = { magic: ['u32', 0], flags: ['u32', 4], checksum: ['u32', 8] } as const;
export const MULTIBOOT_HEADER_BYTES = 12;
/** Flags that an image may set and that we can serve: 0 modules on pages, 1 memory information; 2 (a video mode) not. */
export const MULTIBOOT_FLAGS_SERVED = 3;
/** Flags 0..15 must be served or the image refused. */
export const MULTIBOOT_FLAGS_REQUIRED_MASK = 0xffff;

export const MULTIBOOT_BOOTLOADER_MAGIC = 0x2badb002;

/** Bits of the information's flags: which of its fields are given. */
export const MULTIBOOT_INFO_MEMORY = 1;
export const MULTIBOOT_INFO_COMMAND_LINE = 4;
export const MULTIBOOT_INFO_MEMORY_MAP = 0x40;

export const MULTIBOOT_INFO_LAYOUT = {
  flags: ['u32', 0],
  /** KiB below 1 MiB, and from 1 MiB on. */
  memoryLower: ['u32', 4],
  memoryUpper: ['u32', 8],
  commandLine: ['u32', 16],
  memoryMapBytes: ['u32', 44],
  memoryMap: ['u32', 48],
} as const;
export type MultibootInfo = Struct<typeof MULTIBOOT_INFO_LAYOUT>;

/** `size` counts the bytes behind itself. */
export const MULTIBOOT_MAP_ENTRY_BYTES = 24;
export const MULTIBOOT_MAP_ENTRY_LAYOUT = {
  size: ['u32', 0],
  address: ['u64', 4],
  bytes: ['u64', 12],
  type: ['u32', 20],
} as const;
export const MULTIBOOT_MEMORY_AVAILABLE = 1;
