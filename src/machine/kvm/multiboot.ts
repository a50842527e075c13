/**
 * A Multiboot 1 image (an ELF32 file) brought into a guest's memory, with the boot information that it expects. Guest images
 * in the manner of kvm-unit-tests are of this kind.
 */
import { ELF_MAGIC, ELFCLASS32, EM_386, ET_EXEC, PT_LOAD } from '../../abi/elf.ts';
import {
  ELF32_HEADER_BYTES,
  ELF32_HEADER_LAYOUT,
  ELF32_PROGRAM_HEADER_BYTES,
  ELF32_PROGRAM_HEADER_LAYOUT,
} from '../../abi/elf32.ts';
import type { KvmRegs, KvmSegment, KvmSregs } from '../../abi/kvm-structs.ts';
import * as multiboot from '../../abi/multiboot.ts';
import { decodeStruct, encodeStruct } from '../../abi/struct.ts';
import type { GuestMemory } from './memory.ts';

/** The file cannot be run: one line that says why. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
}

const KIB = 1024;
const MIB = 1024 * KIB;
/** The boot information and the command line stand below 640 KiB, where the memory map says that there is memory. */
const INFO_AT = 0x9000;
const MAP_AT = 0x9100;
const COMMAND_LINE_AT = 0x9200;
const MOST_COMMAND_LINE_BYTES = 0xe00;
const LOW_MEMORY_BYTES = 640 * KIB;

/** Copies the image's segments into memory. Returns where it is to be entered. Throws ImageError. */
export function loadMultiboot(file: Uint8Array, memory: GuestMemory): number {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const header = checkHeader(view);
  checkMultibootHeader(view);
  for (let i = 0; i < header.programHeaders; i++) {
    const at = header.programHeadersOffset + i * ELF32_PROGRAM_HEADER_BYTES;
    if (at + ELF32_PROGRAM_HEADER_BYTES > view.byteLength) throw new ImageError('its program headers are cut off');
    const segment = decodeStruct(ELF32_PROGRAM_HEADER_LAYOUT, view, at);
    if (segment.type !== PT_LOAD) continue;
    const { offset, fileBytes, memoryBytes, physicalAddress } = segment;
    if (offset + fileBytes > view.byteLength || fileBytes > memoryBytes)
      throw new ImageError(`segment ${i} is cut off`);
    if (physicalAddress + memoryBytes > memory.bytes) {
      const needed = Math.ceil((physicalAddress + memoryBytes) / MIB);
      throw new ImageError(`segment ${i} ends outside the guest's memory: it needs ${needed} MiB`);
    }
    const target = memory.slice(physicalAddress, memoryBytes);
    target.fill(0);
    target.set(file.subarray(offset, offset + fileBytes));
  }
  return header.entry;
}

function checkHeader(view: DataView) {
  if (view.byteLength < ELF32_HEADER_BYTES) throw new ImageError(`it is no ELF file: ${view.byteLength} bytes`);
  const header = decodeStruct(ELF32_HEADER_LAYOUT, view);
  if (header.magic !== ELF_MAGIC) throw new ImageError('it is no ELF file');
  if (header.class !== ELFCLASS32 || header.machine !== EM_386 || header.type !== ET_EXEC) {
    throw new ImageError('it is no 32-bit x86 executable, as Multiboot wants');
  }
  return header;
}

function checkMultibootHeader(view: DataView): void {
  const end = Math.min(view.byteLength, multiboot.MULTIBOOT_SEARCH_BYTES) - multiboot.MULTIBOOT_HEADER_BYTES;
  for (let at = 0; at <= end; at += 4) {
    const { magic, flags, checksum } = decodeStruct(multiboot.MULTIBOOT_HEADER_LAYOUT, view, at);
    if (magic !== multiboot.MULTIBOOT_HEADER_MAGIC || (magic + flags + checksum) >>> 0 !== 0) continue;
    const wanted = flags & multiboot.MULTIBOOT_FLAGS_REQUIRED_MASK & ~multiboot.MULTIBOOT_FLAGS_SERVED;
    if (wanted !== 0)
      throw new ImageError(`its Multiboot header wants what is not served: flags 0x${flags.toString(16)}`);
    return;
  }
  throw new ImageError('it has no Multiboot header in its first 8192 bytes');
}

/** Writes the boot information; returns its address. `commandLine`: the program's name, then its arguments. */
export function writeBootInformation(memory: GuestMemory, commandLine: string): number {
  const { view } = memory;
  const line = new TextEncoder().encode(`${commandLine}\0`);
  if (line.length > MOST_COMMAND_LINE_BYTES) {
    throw new ImageError(`its command line has ${line.length} bytes, more than ${MOST_COMMAND_LINE_BYTES}`);
  }
  memory.slice(COMMAND_LINE_AT, line.length).set(line);
  const regions = [
    { address: 0n, bytes: BigInt(LOW_MEMORY_BYTES) },
    { address: BigInt(MIB), bytes: BigInt(memory.bytes - MIB) },
  ];
  regions.forEach(({ address, bytes }, i) => {
    const at = MAP_AT + i * multiboot.MULTIBOOT_MAP_ENTRY_BYTES;
    const size = multiboot.MULTIBOOT_MAP_ENTRY_BYTES - 4;
    const type = multiboot.MULTIBOOT_MEMORY_AVAILABLE;
    encodeStruct(multiboot.MULTIBOOT_MAP_ENTRY_LAYOUT, { size, address, bytes, type }, view, at);
  });
  const information = {
    flags:
      multiboot.MULTIBOOT_INFO_MEMORY | multiboot.MULTIBOOT_INFO_COMMAND_LINE | multiboot.MULTIBOOT_INFO_MEMORY_MAP,
    memoryLower: LOW_MEMORY_BYTES / KIB,
    memoryUpper: (memory.bytes - MIB) / KIB,
    commandLine: COMMAND_LINE_AT,
    memoryMapBytes: regions.length * multiboot.MULTIBOOT_MAP_ENTRY_BYTES,
    memoryMap: MAP_AT,
  };
  encodeStruct(multiboot.MULTIBOOT_INFO_LAYOUT, information, view, INFO_AT);
  return INFO_AT;
}

const CR0_PROTECTED = 0x11n;
const CODE = 0x08;
const DATA = 0x10;

/** 32-bit protected mode, flat segments, no paging. */
export function bootSregs(sregs: KvmSregs): KvmSregs {
  const data = flat(DATA, 3);
  return {
    ...sregs,
    cs: flat(CODE, 11),
    ss: data,
    ds: data,
    es: data,
    fs: data,
    gs: data,
    cr0: CR0_PROTECTED,
    cr4: 0n,
    efer: 0n,
  };
}

function flat(selector: number, type: number): KvmSegment {
  return {
    base: 0n,
    limit: 0xffff_ffff,
    selector,
    type,
    present: 1,
    dpl: 0,
    db: 1,
    s: 1,
    l: 0,
    g: 1,
    avl: 0,
    unusable: 0,
  };
}

export function bootRegs(regs: KvmRegs, entry: number, information: number): KvmRegs {
  const rflags = 2n;
  return {
    ...regs,
    rip: BigInt(entry),
    rax: BigInt(multiboot.MULTIBOOT_BOOTLOADER_MAGIC),
    rbx: BigInt(information),
    rflags,
  };
}
