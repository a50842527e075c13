/**
 * A small image of our own in the manner of kvm-unit-tests, emitted here: Multiboot, long mode, a second vCPU started by
 * INIT and SIPI. Each vCPU registers its record; both read through record 0 against each other; the first then judges: no warp, and
 * the wall clock within seconds of the host's, as many CPUs as there are to be. It prints PASS or FAIL and exits with what failed.
 */
import { ELF_MAGIC, ELFCLASS32, ELFDATA2LSB, EM_386, ET_EXEC, EV_CURRENT, PT_LOAD } from '../../../src/abi/elf.ts';
import {
  ELF32_HEADER_BYTES,
  ELF32_HEADER_LAYOUT,
  ELF32_PROGRAM_HEADER_BYTES,
  ELF32_PROGRAM_HEADER_LAYOUT,
} from '../../../src/abi/elf32.ts';
import { MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_WALL_CLOCK_NEW } from '../../../src/abi/msr.ts';
import { MULTIBOOT_HEADER_MAGIC } from '../../../src/abi/multiboot.ts';
import { PVTI_SIZE } from '../../../src/abi/pvti.ts';
import { encodeStruct } from '../../../src/abi/struct.ts';
import { WALL_CLOCK } from '../../../src/abi/wall-clock.ts';
import { clockCode } from '../../../src/vdso/clock.ts';
import type { Code } from '../../../src/vdso/code.ts';
import { measureCode, WARP_LOOP } from '../../../src/vdso/measure.ts';
import { eax, ecx, edi, edx, mem, r8, rax, rcx, rdi, rdx, rsi } from '../../../src/vdso/operands.ts';
import { Assembler } from '../../../src/vdso/x86.ts';

/** What failed, as bits of the value that the image exits with. */
export const FAILED = { warps: 1, reads: 2, wall: 4, cpus: 8 } as const;

export interface BootImageOptions {
  /** Seconds since 1970, as the host has them. */
  readonly hostSeconds: number;
  readonly reads: number;
  /** How many CPUs it is to have; 2 by default. */
  readonly cpus?: number;
  /** What the first vCPU does instead of its work. */
  readonly instead?: 'hang' | 'fault' | undefined;
  readonly multibootFlags?: number;
}

const THRESHOLD_SECONDS = 5;
const AP_AT = 0x8000;
const IMAGE_AT = 0x100000;
const GDT_AT = 0x101000;
const PML4_AT = 0x102000;
const PDPT_AT = 0x103000;
const LOW_PD_AT = 0x104000;
const HIGH_PD_AT = 0x105000;
const RECORDS_AT = 0x106000;
const WALL_AT = 0x107000;
const BLOCKS_AT = 0x108000;
const CLOCK_AT = 0x110000;
const MEASURE_AT = 0x118000;
const MAIN_AT = 0x120000;
const END = 0x140000;
const APIC_AT = 0xfee00000;

const CODE64 = 0x08;
const CODE32 = 0x10;
const DATA = 0x18;
/** Words of both vCPUs behind their blocks. */
const SHARED = BLOCKS_AT + 0x200;
const AP_DONE = BLOCKS_AT + 0x208;

class BootAssembler extends Assembler {
  /** Instructions that only a boot needs, as bytes. */
  raw(...bytes: number[]): void {
    this.emit(...bytes);
  }

  address(value: number): void {
    this.emit32(value);
  }
}

export function bootImage(options: BootImageOptions): Uint8Array {
  const memory = new Uint8Array(END - IMAGE_AT);
  const view = new DataView(memory.buffer);
  const put = (at: number, bytes: Uint8Array): void => memory.set(bytes, at - IMAGE_AT);
  const clock = place(clockCode(), CLOCK_AT, put);
  const measure = place(measureCode(), MEASURE_AT, put);
  writeTables(view);
  for (const vcpu of [0, 1]) writeBlock(view, vcpu, clock('kvmclock_read_landed'), options.reads);
  const { code, boot, apLong } = mainCode(measure('kvmclock_warp_loop'), options);
  put(MAIN_AT, code);
  const flags = options.multibootFlags ?? 0;
  view.setUint32(0, MULTIBOOT_HEADER_MAGIC, true);
  view.setUint32(4, flags, true);
  view.setUint32(8, -(MULTIBOOT_HEADER_MAGIC + flags), true);
  const entry = 16;
  put(IMAGE_AT + entry, enterLongMode(MAIN_AT + boot, IMAGE_AT + 0x1000));
  return elf32(IMAGE_AT + entry, [
    { at: IMAGE_AT, bytes: memory },
    { at: AP_AT, bytes: apTrampoline(MAIN_AT + apLong) },
  ]);
}

/** Returns where each symbol is. */
function place(code: Code, at: number, put: (at: number, bytes: Uint8Array) => void): (name: string) => number {
  put(at, code.link(0x4000));
  return (name) => at + code.symbols.find((symbol) => symbol.name === name)!.at;
}

function writeTables(view: DataView): void {
  const put = (at: number, value: bigint): void => view.setBigUint64(at - IMAGE_AT, value, true);
  put(GDT_AT + CODE64, 0x00af_9b00_0000_ffffn);
  put(GDT_AT + CODE32, 0x00cf_9b00_0000_ffffn);
  put(GDT_AT + DATA, 0x00cf_9300_0000_ffffn);
  view.setUint16(GDT_AT + 0x40 - IMAGE_AT, 0x1f, true);
  view.setUint32(GDT_AT + 0x42 - IMAGE_AT, GDT_AT, true);
  put(PML4_AT, BigInt(PDPT_AT | 3));
  put(PDPT_AT, BigInt(LOW_PD_AT | 3));
  put(PDPT_AT + 3 * 8, BigInt(HIGH_PD_AT | 3));
  for (let i = 0; i < 512; i++) put(LOW_PD_AT + i * 8, BigInt(i * 0x200000 + 0x83));
  put(HIGH_PD_AT + (((APIC_AT - 0xc0000000) / 0x200000) | 0) * 8, BigInt(APIC_AT + 0x93)); // uncached
}

function writeBlock(view: DataView, vcpu: number, reader: number, reads: number): void {
  const put = (offset: number, value: number): void =>
    view.setBigUint64(blockOf(vcpu) - IMAGE_AT + offset, BigInt(value), true);
  put(WARP_LOOP.callee, reader);
  put(WARP_LOOP.first, RECORDS_AT);
  put(WARP_LOOP.count, reads);
  put(WARP_LOOP.shared, SHARED);
}

const blockOf = (vcpu: number): number => BLOCKS_AT + vcpu * 0x80;

/** 32-bit code: from protected mode to long mode, with `stack`, on to `to`. */
function enterLongMode(to: number, stack: number): Uint8Array {
  const a = new BootAssembler();
  a.raw(0xbc); // mov esp
  a.address(stack);
  a.raw(0x0f, 0x01, 0x15); // lgdt [address]: the descriptor stands behind the GDT
  a.address(GDT_AT + 0x40);
  a.raw(0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0); // cr4 |= PAE
  a.movImmediate(eax, PML4_AT);
  a.raw(0x0f, 0x22, 0xd8); // cr3 = eax
  a.movImmediate(ecx, 0xc0000080);
  a.rdmsr();
  a.raw(0x0d, 0x00, 0x01, 0x00, 0x00); // EFER |= LME
  a.wrmsr();
  a.raw(0x0f, 0x20, 0xc0, 0x0d, 0x00, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0); // cr0 |= PG
  a.raw(0xea); // far jump
  a.address(to);
  a.raw(CODE64, 0x00);
  return a.finish();
}

/** Real-mode code at the SIPI's page: to protected mode, then as the first vCPU. Its own GDT stands at 0xc0. */
function apTrampoline(to: number): Uint8Array {
  const protectedAt = 0x40;
  const gdtAt = 0xc0;
  const bytes = new Uint8Array(0x100);
  const view = new DataView(bytes.buffer);
  const real = new BootAssembler();
  real.raw(0xfa, 0x31, 0xc0, 0x8e, 0xd8); // cli; ds = 0
  real.raw(0x66, 0x0f, 0x01, 0x16, 0xf0, 0x80); // lgdt [0x80f0]
  real.raw(0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0); // cr0 |= PE
  real.raw(0x66, 0xea);
  real.address(AP_AT + protectedAt);
  real.raw(CODE32, 0x00);
  bytes.set(real.finish());
  const after = new BootAssembler();
  after.raw(0x66, 0xb8, DATA, 0x00, 0x8e, 0xd8, 0x8e, 0xd0, 0x8e, 0xc0); // ds = ss = es = DATA
  bytes.set([...after.finish(), ...enterLongMode(to, IMAGE_AT + 0x800)], protectedAt);
  if (bytes[gdtAt] !== 0) throw new Error('the trampoline runs into its GDT');
  view.setBigUint64(gdtAt + CODE32, 0x00cf_9b00_0000_ffffn, true);
  view.setBigUint64(gdtAt + DATA, 0x00cf_9300_0000_ffffn, true);
  view.setUint16(0xf0, 0x1f, true);
  view.setUint32(0xf2, AP_AT + gdtAt, true);
  return bytes;
}

function mainCode(warpLoop: number, { hostSeconds, reads, cpus = 2, instead }: BootImageOptions) {
  const a = new BootAssembler();
  const boot = a.length;
  if (instead === 'fault') a.ud2();
  if (instead === 'hang') hang(a);
  wrmsr(a, MSR_KVM_WALL_CLOCK_NEW, WALL_AT);
  wrmsr(a, MSR_KVM_SYSTEM_TIME_NEW, RECORDS_AT | 1);
  startOthers(a);
  call(a, warpLoop, blockOf(0));
  const waiting = a.label('waiting');
  a.bind(waiting);
  a.pause();
  a.movImmediate(rdi, AP_DONE);
  a.mov(eax, mem(rdi));
  a.test(eax, eax);
  a.jcc('e', waiting);
  judge(a, hostSeconds, reads, cpus);
  const apLong = a.length;
  wrmsr(a, MSR_KVM_SYSTEM_TIME_NEW, (RECORDS_AT + PVTI_SIZE) | 1);
  call(a, warpLoop, blockOf(1));
  a.movImmediate(rdi, AP_DONE);
  a.movImmediate(eax, 1);
  a.mov(mem(rdi), eax);
  hang(a);
  return { code: a.finish(), boot, apLong };
}

function hang(a: BootAssembler): void {
  const forever = a.label('forever');
  a.bind(forever);
  a.pause();
  a.jmp(forever);
}

function wrmsr(a: BootAssembler, msr: number, value: number): void {
  a.movImmediate(ecx, msr);
  a.movImmediate(eax, value);
  a.movImmediate(edx, 0);
  a.wrmsr();
}

function call(a: BootAssembler, at: number, block: number): void {
  a.movImmediate(rdi, block);
  a.movImmediate(rax, at);
  a.call(rax);
}

/** INIT and SIPI to all but self, through the local APIC. */
function startOthers(a: BootAssembler): void {
  a.movImmediate(edi, APIC_AT);
  for (const [register, value] of [
    [0xf0, 0x1ff],
    [0x300, 0xc4500],
    [0x300, 0xc4600 | (AP_AT >> 12)],
  ] as const) {
    a.movImmediate(eax, value);
    a.mov(mem(rdi, register), eax);
  }
}

/** r8 = what failed; printed and written to the exit port. */
function judge(a: BootAssembler, hostSeconds: number, reads: number, cpus: number): void {
  const failIf = (condition: 'ne' | 'a', bit: number, test: () => void): void => {
    const [failed, passed] = [a.label('failed'), a.label('passed')];
    test();
    a.jcc(condition, failed);
    a.jmp(passed);
    a.bind(failed);
    a.aluImmediate('or', r8, bit);
    a.bind(passed);
  };
  a.movImmediate(r8, 0);
  for (const vcpu of [0, 1]) {
    a.movImmediate(rdi, blockOf(vcpu));
    failIf('ne', FAILED.warps, () => a.aluImmediate('cmp', mem(rdi, WARP_LOOP.warps), 0, 64));
    failIf('ne', FAILED.reads, () => a.aluImmediate('cmp', mem(rdi, WARP_LOOP.reads), reads, 64));
  }
  // wall clock + what the clock read last, in seconds, + threshold - the host's: 0..2 * threshold
  a.movImmediate(rdi, SHARED);
  a.mov(rax, mem(rdi));
  a.movImmediate(edx, 0);
  a.movImmediate(ecx, 1_000_000_000);
  a.div(rcx);
  a.movImmediate(rsi, WALL_AT);
  a.mov(ecx, mem(rsi, WALL_CLOCK.sec));
  a.alu('add', rax, rcx);
  a.movImmediate(edx, hostSeconds - THRESHOLD_SECONDS);
  a.alu('sub', rax, rdx);
  failIf('a', FAILED.wall, () => a.aluImmediate('cmp', rax, 2 * THRESHOLD_SECONDS));
  failIf('ne', FAILED.cpus, () => {
    a.movImmediate(edx, 0x510);
    a.movImmediate(eax, 5);
    a.raw(0x66, 0xef); // out dx, ax: the item that counts CPUs
    a.movImmediate(edx, 0x511);
    a.movImmediate(eax, 0);
    a.raw(0xec); // in al, dx
    a.aluImmediate('cmp', rax, cpus);
  });
  const [pass, exit] = [a.label('pass'), a.label('exit')];
  a.test(r8, r8);
  a.jcc('e', pass);
  print(a, 'FAIL\n');
  a.jmp(exit);
  a.bind(pass);
  print(a, 'PASS\n');
  a.bind(exit);
  a.mov(rax, r8);
  a.movImmediate(edx, 0xf4);
  a.outAl();
  hang(a);
}

function print(a: BootAssembler, text: string): void {
  a.movImmediate(edx, 0x3f8);
  for (const letter of text) {
    a.movImmediate(eax, letter.charCodeAt(0));
    a.outAl();
  }
}

/** An ELF32 executable of these segments. */
export function elf32(entry: number, segments: readonly { at: number; bytes: Uint8Array }[]): Uint8Array {
  const first = 0x1000;
  const file = new Uint8Array(first + segments.reduce((sum, { bytes }) => sum + bytes.length, 0));
  const view = new DataView(file.buffer);
  const header = {
    magic: ELF_MAGIC,
    class: ELFCLASS32,
    data: ELFDATA2LSB,
    identVersion: EV_CURRENT,
    type: ET_EXEC,
    machine: EM_386,
    version: EV_CURRENT,
    entry,
    programHeadersOffset: ELF32_HEADER_BYTES,
    headerBytes: ELF32_HEADER_BYTES,
    programHeaderBytes: ELF32_PROGRAM_HEADER_BYTES,
    programHeaders: segments.length,
  };
  encodeStruct(ELF32_HEADER_LAYOUT, header, view);
  let offset = first;
  segments.forEach(({ at, bytes }, i) => {
    const place = ELF32_HEADER_BYTES + i * ELF32_PROGRAM_HEADER_BYTES;
    const size = { fileBytes: bytes.length, memoryBytes: bytes.length };
    const where = { offset, virtualAddress: at, physicalAddress: at };
    encodeStruct(
      ELF32_PROGRAM_HEADER_LAYOUT,
      { type: PT_LOAD, flags: 7, align: 0x1000, ...where, ...size },
      view,
      place,
    );
    file.set(bytes, offset);
    offset += bytes.length;
  });
  return file;
}
