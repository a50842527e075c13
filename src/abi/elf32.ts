/** The 32-bit headers of ELF, as far as loading a file by its program headers needs them. Numbers are those of elf.ts. */

export const ELF32_HEADER_BYTES = 52;
export const ELF32_HEADER_LAYOUT = {
  magic: ['u32', 0],
  class: ['u8', 4],
  data: ['u8', 5],
  identVersion: ['u8', 6],
  type: ['u16', 16],
  machine: ['u16', 18],
  version: ['u32', 20],
  entry: ['u32', 24],
  programHeadersOffset: ['u32', 28],
  headerBytes: ['u16', 40],
  programHeaderBytes: ['u16', 42],
  programHeaders: ['u16', 44],
} as const;

export const ELF32_PROGRAM_HEADER_BYTES = 32;
/** One segment: `fileBytes` at `offset` appear at `physicalAddress`, and zeroes up to `memoryBytes`. */
export const ELF32_PROGRAM_HEADER_LAYOUT = {
  type: ['u32', 0],
  offset: ['u32', 4],
  virtualAddress: ['u32', 8],
  physicalAddress: ['u32', 12],
  fileBytes: ['u32', 16],
  memoryBytes: ['u32', 20],
  flags: ['u32', 24],
  align: ['u32', 28],
} as const;
