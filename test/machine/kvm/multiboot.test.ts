import assert from 'node:assert/strict';
import test from 'node:test';
import { PT_NOTE } from '../../../src/abi/elf.ts';
import type { KvmRegs, KvmSregs } from '../../../src/abi/kvm-structs.ts';
import {
  MULTIBOOT_INFO_COMMAND_LINE,
  MULTIBOOT_INFO_LAYOUT,
  MULTIBOOT_INFO_MEMORY_MAP,
  MULTIBOOT_MAP_ENTRY_BYTES,
  MULTIBOOT_MAP_ENTRY_LAYOUT,
} from '../../../src/abi/multiboot.ts';
import { decodeStruct } from '../../../src/abi/struct.ts';
import { GuestMemory } from '../../../src/machine/kvm/memory.ts';
import { bootRegs, bootSregs, loadMultiboot, writeBootInformation } from '../../../src/machine/kvm/multiboot.ts';
import { isUnavailable, openSys } from '../../../src/machine/sys.ts';
import { bootImage } from './boot-image.ts';

const MIB = 1 << 20;
const sys = openSys();
const skip = isUnavailable(sys) && sys.unavailable;

function withMemory(body: (memory: GuestMemory) => void): void {
  if (isUnavailable(sys)) throw new Error(sys.unavailable);
  const memory = new GuestMemory(sys, 4 * MIB);
  try {
    body(memory);
  } finally {
    memory.unmap();
  }
}

const image = (multibootFlags = 0) => bootImage({ hostSeconds: 0, reads: 1, multibootFlags });

/** The image with `value` written over it at `at`. */
function spoilt(at: number, value: number): Uint8Array {
  const file = image();
  new DataView(file.buffer).setUint32(at, value, true);
  return file;
}

test('loadMultiboot() puts each segment where its header says and zeroes what is behind it', { skip }, () => {
  withMemory((memory) => {
    const file = spoilt(52 + 32 + 20, 0x180); // the second segment's size in memory
    memory.slice(0x8000, 0x180).fill(0xee);
    assert.equal(loadMultiboot(file, memory), 0x100010);
    assert.deepEqual(memory.slice(0x8000, 0x100), file.subarray(0x41000, 0x41100));
    assert.ok(memory.slice(0x8100, 0x80).every((byte) => byte === 0));
    assert.deepEqual(memory.slice(0x100000, 64), file.subarray(0x1000, 0x1040));
  });
});

test('loadMultiboot() passes over what is not to be loaded', { skip }, () => {
  withMemory((memory) => {
    loadMultiboot(spoilt(52 + 32, PT_NOTE), memory); // the second segment's type
    assert.ok(memory.slice(0x8000, 0x100).every((byte) => byte === 0));
  });
});

const refused: [what: string, file: () => Uint8Array, message: RegExp][] = [
  ['a file too short for a header', () => new Uint8Array(51), /no ELF file: 51 bytes/],
  ['a file that is no ELF', () => spoilt(0, 0), /no ELF file$/],
  ['a 64-bit ELF', () => spoilt(4, 0x0001_0102), /no 32-bit x86 executable/],
  ['an ELF without a Multiboot header', () => spoilt(0x1000, 0), /no Multiboot header/],
  ['a Multiboot header with a wrong checksum', () => spoilt(0x1008, 1), /no Multiboot header/],
  ['a Multiboot header that wants a video mode', () => image(4), /wants what is not served: flags 0x4/],
  ['program headers behind the end of the file', () => spoilt(28, 0x7fff_ffff), /program headers are cut off/],
  ['a program header that is cut off', () => spoilt(28, image().length - 16), /program headers are cut off/],
  ['a segment behind the end of the file', () => spoilt(52 + 4, 0x7fff_0000), /segment 0 is cut off/],
  ['a segment with more in the file than in memory', () => spoilt(52 + 20, 1), /segment 0 is cut off/],
  ['a segment outside memory', () => spoilt(52 + 12, 0xf000_0000), /segment 0 ends outside .* needs 3841 MiB/],
];
for (const [what, file, message] of refused) {
  test(`loadMultiboot() refuses ${what}`, { skip }, () => {
    withMemory((memory) => assert.throws(() => loadMultiboot(file(), memory), { name: 'ImageError', message }));
  });
}

test('writeBootInformation() gives the memory map and the command line', { skip }, () => {
  withMemory((memory) => {
    const at = writeBootInformation(memory, 'kvmclock_test 1000 5');
    const information = decodeStruct(MULTIBOOT_INFO_LAYOUT, memory.view, at);
    assert.equal(information.flags & MULTIBOOT_INFO_COMMAND_LINE, MULTIBOOT_INFO_COMMAND_LINE);
    assert.equal(information.flags & MULTIBOOT_INFO_MEMORY_MAP, MULTIBOOT_INFO_MEMORY_MAP);
    assert.equal(information.memoryUpper, 3 * 1024);
    const line = Buffer.from(memory.slice(information.commandLine, 21)).toString();
    assert.equal(line, 'kvmclock_test 1000 5\0');
    const entries = Array.from({ length: information.memoryMapBytes / MULTIBOOT_MAP_ENTRY_BYTES }, (_, i) =>
      decodeStruct(MULTIBOOT_MAP_ENTRY_LAYOUT, memory.view, information.memoryMap + i * MULTIBOOT_MAP_ENTRY_BYTES),
    );
    assert.deepEqual(entries, [
      { size: 20, address: 0n, bytes: 0xa0000n, type: 1 },
      { size: 20, address: 0x100000n, bytes: 0x300000n, type: 1 },
    ]);
  });
});

test('writeBootInformation() refuses a command line without end', { skip }, () => {
  withMemory((memory) => {
    const longest = 3583; // and a zero behind it
    writeBootInformation(memory, 'x'.repeat(longest));
    assert.throws(() => writeBootInformation(memory, 'x'.repeat(longest + 1)), /command line has 3585 bytes/);
  });
});

test('bootSregs() and bootRegs() are the machine state that Multiboot promises', () => {
  const { cs, ds, es, fs, gs, ss, cr0, cr4, efer } = bootSregs({} as KvmSregs);
  for (const segment of [cs, ds, es, fs, gs, ss]) {
    const { base, limit, present, s, l, db, g, dpl, unusable } = segment;
    assert.deepEqual(
      { base, limit, present, s, l, db, g, dpl, unusable },
      { base: 0n, limit: 0xffff_ffff, present: 1, s: 1, l: 0, db: 1, g: 1, dpl: 0, unusable: 0 },
    );
  }
  assert.equal(cs.type, 11, 'code, read and executed');
  for (const { type } of [ds, es, fs, gs, ss]) assert.equal(type, 3, 'data, read and written');
  assert.deepEqual([cr0, cr4, efer], [0x11n, 0n, 0n], 'protected, not paged');
  const { rip, rax, rbx, rflags } = bootRegs({} as KvmRegs, 0x100010, 0x9000);
  assert.deepEqual({ rip, rax, rbx, rflags }, { rip: 0x100010n, rax: 0x2bad_b002n, rbx: 0x9000n, rflags: 2n });
});
