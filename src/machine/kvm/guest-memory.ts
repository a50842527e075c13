/**
 * The memory of the guests that we measure, and the processor state that goes with it: long mode, virtual addresses equal to
 * physical ones, everything in user mode's reach except what the processor itself needs.
 *
 *   0x0000          not mapped: a null pointer faults
 *   0x1000          page tables, not mapped either
 *   0x10000         per vCPU four pages: GDT and TSS (kernel); mailbox; stack
 *   0x110000        the records, 64 bytes apart, then the wall clock (both read-only in user mode)
 *   0x120000        code images, mapped as their program headers say
 *   0x200000        data, up to the end
 */
import type { KvmSegment, KvmSregs } from '../../abi/kvm-structs.ts';
import { PVTI_SIZE } from '../../abi/pvti.ts';
import { PAGE_BYTES } from '../sys.ts';
import type { GuestMemory } from './memory.ts';

export const MAX_GUEST_VCPUS = 64;
export const RECORDS_AT = 0x110000;
export const WALL_CLOCK_AT = 0x112000;
export const IMAGES_AT = 0x120000;
export const DATA_AT = 0x200000;
export const GUEST_MEMORY_BYTES = 0x800000;

const PML4_AT = 0x1000;
const PDPT_AT = 0x2000;
const PD_AT = 0x3000;
const PT_AT = 0x4000;
const VCPU_AT = 0x10000;
const VCPU_BYTES = 4 * PAGE_BYTES;
const TSS_OFFSET = 0x100;
/** Two megabytes have one page table; more than this many would run into the vCPUs' pages. */
const MAX_PAGE_TABLES = (VCPU_AT - PT_AT) / PAGE_BYTES;
const PAGE_TABLE_SPAN = 512 * PAGE_BYTES;

const PRESENT = 1n;
const WRITABLE = 2n;
const USER = 4n;
const NO_EXECUTE = 1n << 63n;

/** Who may do what with a page. Kernel pages are writable by the kernel, always. */
export type Access = 'kernel' | 'r' | 'rw' | 'rx';

const ACCESS: Readonly<Record<Access, bigint>> = {
  kernel: PRESENT | WRITABLE | NO_EXECUTE,
  r: PRESENT | USER | NO_EXECUTE,
  rw: PRESENT | USER | WRITABLE | NO_EXECUTE,
  rx: PRESENT | USER,
};

/** The pages of one vCPU: `gdt` and `tss` in one, `mailbox` (one page), and the stack, which grows down from `stackTop`. */
export function vcpuPages(vcpu: number): { gdt: number; tss: number; mailbox: number; stackTop: number } {
  const at = VCPU_AT + vcpu * VCPU_BYTES;
  return { gdt: at, tss: at + TSS_OFFSET, mailbox: at + PAGE_BYTES, stackTop: at + VCPU_BYTES };
}

/** Maps `bytes` at `address`, whole pages. */
export function mapPages(memory: GuestMemory, address: number, bytes: number, access: Access): void {
  for (let page = address & ~(PAGE_BYTES - 1); page < address + bytes; page += PAGE_BYTES) {
    memory.view.setBigUint64(PT_AT + (page / PAGE_BYTES) * 8, BigInt(page) | ACCESS[access], true);
  }
}

/** Page tables, and every vCPU's descriptors. */
export function layOutMemory(memory: GuestMemory, vcpus: number): void {
  const tables = Math.ceil(memory.bytes / PAGE_TABLE_SPAN);
  if (tables > MAX_PAGE_TABLES)
    throw new RangeError(`guest memory: at most ${MAX_PAGE_TABLES * 2} MiB, got ${memory.bytes} bytes`);
  const { view } = memory;
  const table = PRESENT | WRITABLE | USER;
  view.setBigUint64(PML4_AT, BigInt(PDPT_AT) | table, true);
  view.setBigUint64(PDPT_AT, BigInt(PD_AT) | table, true);
  for (let i = 0; i < tables; i++) view.setBigUint64(PD_AT + i * 8, BigInt(PT_AT + i * PAGE_BYTES) | table, true);
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    const { gdt, tss, mailbox, stackTop } = vcpuPages(vcpu);
    mapPages(memory, gdt, PAGE_BYTES, 'kernel');
    mapPages(memory, mailbox, stackTop - mailbox, 'rw');
    writeGdt(view, gdt, vcpu);
    writeTss(view, tss);
  }
  mapPages(memory, RECORDS_AT, MAX_GUEST_VCPUS * PVTI_SIZE, 'r');
  mapPages(memory, WALL_CLOCK_AT, PAGE_BYTES, 'r');
  mapPages(memory, DATA_AT, memory.bytes - DATA_AT, 'rw');
}

const KERNEL_CODE = 0x08;
const KERNEL_DATA = 0x10;
const USER_DATA = 0x1b;
const USER_CODE = 0x23;
const TASK = 0x40;
/** Linux's selector for the vCPU number: entry 15, user mode. */
const VCPU_NUMBER = 0x78;
const GDT_BYTES = 0x80;
/** The task's own fields, then one bit for each port, clear where user mode may use it, then a byte of ones. */
const TSS_FIELDS_BYTES = 0x68;
const TSS_PORTS = 0x400;
const TSS_BYTES = TSS_FIELDS_BYTES + TSS_PORTS / 8 + 1;
const TSS_BITMAP_OFFSET_AT = 0x66;

function writeGdt(view: DataView, gdt: number, vcpu: number): void {
  view.setBigUint64(gdt + KERNEL_CODE, 0x00af_9b00_0000_ffffn, true);
  view.setBigUint64(gdt + KERNEL_DATA, 0x00cf_9300_0000_ffffn, true);
  view.setBigUint64(gdt + (USER_DATA & ~3), 0x00cf_f300_0000_ffffn, true);
  view.setBigUint64(gdt + (USER_CODE & ~3), 0x00af_fb00_0000_ffffn, true);
  view.setBigUint64(gdt + VCPU_NUMBER, 0x0040_f500_0000_0000n | BigInt(vcpu), true); // its limit is the number
}

/** User mode may use the first ports: not every KVM looks at the I/O privilege level in RFLAGS. */
function writeTss(view: DataView, tss: number): void {
  view.setUint16(tss + TSS_BITMAP_OFFSET_AT, TSS_FIELDS_BYTES, true);
  view.setUint8(tss + TSS_BYTES - 1, 0xff);
}

const CR0_PE_MP_ET_NE_WP_PG = 0x8001_0033n;
const CR4_PAE_OSFXSR_OSXMMEXCPT = 0x620n;
const EFER_SCE_LME_LMA_NXE = 0xd01n;

/** The segments, tables and control registers of `vcpu` at privilege level `ring`. */
export function sregsFor(sregs: KvmSregs, vcpu: number, ring: 0 | 3): KvmSregs {
  const { gdt, tss } = vcpuPages(vcpu);
  const code = segment(ring === 0 ? KERNEL_CODE : USER_CODE, 11, ring, true);
  const data = segment(ring === 0 ? KERNEL_DATA : USER_DATA, 3, ring, false);
  const task = { ...segment(TASK, 11, 0, false), base: BigInt(tss), limit: TSS_BYTES - 1, s: 0, g: 0, db: 0 };
  return {
    ...sregs,
    cs: code,
    ss: data,
    ds: data,
    es: data,
    fs: data,
    gs: data,
    tr: task,
    gdtBase: BigInt(gdt),
    gdtLimit: GDT_BYTES - 1,
    idtBase: 0n,
    idtLimit: 0, // any exception is a triple fault: KVM_RUN returns, and nothing of the guest is lost
    cr0: CR0_PE_MP_ET_NE_WP_PG,
    cr3: BigInt(PML4_AT),
    cr4: CR4_PAE_OSFXSR_OSXMMEXCPT,
    efer: EFER_SCE_LME_LMA_NXE,
  };
}

function segment(selector: number, type: number, dpl: number, long: boolean): KvmSegment {
  return {
    base: 0n,
    limit: 0xffff_ffff,
    selector,
    type,
    present: 1,
    dpl,
    db: long ? 0 : 1,
    s: 1,
    l: long ? 1 : 0,
    g: 1,
    avl: 0,
    unusable: 0,
  };
}
