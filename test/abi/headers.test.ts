/** src/abi against this system's C headers: a C program prints what they say of the same names. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import * as clockId from '../../src/abi/clock-id.ts';
import * as cpuid from '../../src/abi/cpuid.ts';
import * as elf from '../../src/abi/elf.ts';
import * as elf32 from '../../src/abi/elf32.ts';
import { KVM_CAPABILITIES } from '../../src/abi/kvm-capabilities.ts';
import * as clockData from '../../src/abi/kvm-clock-data.ts';
import { KVM_API_VERSION, KVM_IOCTLS } from '../../src/abi/kvm-ioctls.ts';
import * as run from '../../src/abi/kvm-run.ts';
import * as kvm from '../../src/abi/kvm-structs.ts';
import * as msr from '../../src/abi/msr.ts';
import type { Layout } from '../../src/abi/struct.ts';

/** What is said of each C expression or name. */
type Said = ReadonlyMap<string, string>;

const HEADERS = ['elf.h', 'errno.h', 'linux/kvm.h', 'asm/kvm_para.h', 'stddef.h', 'stdio.h', 'time.h'];

const HEADER = `class=e_ident[EI_CLASS] data=e_ident[EI_DATA] identVersion=e_ident[EI_VERSION] type=e_type machine=e_machine
  version=e_version entry=e_entry programHeadersOffset=e_phoff headerBytes=e_ehsize programHeaderBytes=e_phentsize
  programHeaders=e_phnum`;
const HEADER64 = `osAbi=e_ident[EI_OSABI] sectionHeadersOffset=e_shoff flags=e_flags sectionHeaderBytes=e_shentsize
  sectionHeaders=e_shnum sectionNamesIndex=e_shstrndx`;
const SEGMENT = `type=p_type flags=p_flags offset=p_offset virtualAddress=p_vaddr physicalAddress=p_paddr fileBytes=p_filesz
  memoryBytes=p_memsz align=p_align`;
const SECTION = `name=sh_name type=sh_type flags=sh_flags address=sh_addr offset=sh_offset bytes=sh_size link=sh_link
  info=sh_info align=sh_addralign entryBytes=sh_entsize`;
const SYMBOL = 'name=st_name info=st_info other=st_other section=st_shndx value=st_value bytes=st_size';
const REGION = 'guestPhysicalAddress=guest_phys_addr memoryBytes=memory_size address=userspace_addr';
const TABLES = 'gdtBase=gdt.base gdtLimit=gdt.limit idtBase=idt.base idtLimit=idt.limit apicBase=apic_base';
const RUN = `immediateExit=immediate_exit exitReason=exit_reason ioDirection=io.direction ioSize=io.size ioPort=io.port
  ioCount=io.count ioDataOffset=io.data_offset mmioAddress=mmio.phys_addr mmioData=mmio.data mmioBytes=mmio.len
  mmioWrite=mmio.is_write msrError=msr.error msrWhy=msr.reason msrIndex=msr.index msrData=msr.data
  suberror=internal.suberror hardwareReason=hw.hardware_exit_reason systemEvent=system_event.type`;

/** C's type, its size, its layout here, and the fields that C calls otherwise: ours=theirs. */
const STRUCTURES: readonly [type: string, bytes: number, layout: Layout, names?: string][] = [
  // The magic is one word here and four bytes there; a dynamic entry's tag is signed there.
  ['Elf64_Ehdr', elf.ELF64_HEADER_BYTES, without(elf.ELF64_HEADER_LAYOUT, 'magic'), `${HEADER} ${HEADER64}`],
  ['Elf32_Ehdr', elf32.ELF32_HEADER_BYTES, without(elf32.ELF32_HEADER_LAYOUT, 'magic'), HEADER],
  ['Elf64_Phdr', elf.ELF64_PROGRAM_HEADER_BYTES, elf.ELF64_PROGRAM_HEADER_LAYOUT, SEGMENT],
  ['Elf32_Phdr', elf32.ELF32_PROGRAM_HEADER_BYTES, elf32.ELF32_PROGRAM_HEADER_LAYOUT, SEGMENT],
  ['Elf64_Shdr', elf.ELF64_SECTION_HEADER_BYTES, elf.ELF64_SECTION_HEADER_LAYOUT, SECTION],
  ['Elf64_Sym', elf.ELF64_SYMBOL_BYTES, elf.ELF64_SYMBOL_LAYOUT, SYMBOL],
  ['Elf64_Dyn', elf.ELF64_DYNAMIC_BYTES, without(elf.ELF64_DYNAMIC_LAYOUT, 'tag'), 'value=d_un.d_val'],
  ['struct kvm_clock_data', clockData.KVM_CLOCK_DATA_BYTES, clockData.KVM_CLOCK_DATA_LAYOUT, 'hostTsc=host_tsc'],
  [
    'struct kvm_userspace_memory_region',
    kvm.KVM_USERSPACE_MEMORY_REGION_BYTES,
    kvm.KVM_USERSPACE_MEMORY_REGION_LAYOUT,
    REGION,
  ],
  ['struct kvm_regs', kvm.KVM_REGS_BYTES, kvm.KVM_REGS_LAYOUT],
  ['struct kvm_segment', kvm.KVM_SEGMENT_BYTES, kvm.KVM_SEGMENT_LAYOUT],
  ['struct kvm_sregs', kvm.KVM_SREGS_BYTES, kvm.KVM_SREGS_LAYOUT, TABLES],
  ['struct kvm_msr_entry', kvm.KVM_MSR_ENTRY_BYTES, kvm.KVM_MSR_ENTRY_LAYOUT],
  ['struct kvm_cpuid_entry2', kvm.KVM_CPUID_ENTRY_BYTES, kvm.KVM_CPUID_ENTRY_LAYOUT],
  ['struct kvm_enable_cap', kvm.KVM_ENABLE_CAP_BYTES, kvm.KVM_ENABLE_CAP_LAYOUT, 'capability=cap argument=args[0]'],
  ['struct kvm_device_attr', kvm.KVM_DEVICE_ATTR_BYTES, kvm.KVM_DEVICE_ATTR_LAYOUT, 'attribute=attr address=addr'],
  [
    'struct kvm_msr_filter_range',
    kvm.KVM_MSR_FILTER_RANGE_BYTES,
    kvm.KVM_MSR_FILTER_RANGE_LAYOUT,
    'msrs=nmsrs address=bitmap',
  ],
];

/** Where only a size or an offset can be compared. */
const PLACES: Readonly<Record<string, number>> = {
  'offsetof(Elf64_Ehdr, e_ident)': elf.ELF64_HEADER_LAYOUT.magic[1],
  'offsetof(Elf32_Ehdr, e_ident)': elf32.ELF32_HEADER_LAYOUT.magic[1],
  'offsetof(Elf64_Dyn, d_tag)': elf.ELF64_DYNAMIC_LAYOUT.tag[1],
  'sizeof(struct kvm_msrs)': kvm.KVM_MSRS_BYTES,
  'sizeof(struct kvm_cpuid2)': kvm.KVM_CPUID2_BYTES,
  'sizeof(struct kvm_guest_debug)': kvm.KVM_GUEST_DEBUG_BYTES,
  'sizeof(struct kvm_pit_config)': kvm.KVM_PIT_CONFIG_BYTES,
  'sizeof(struct kvm_mp_state)': kvm.KVM_MP_STATE_BYTES,
  'sizeof(struct kvm_msr_filter)': kvm.KVM_MSR_FILTER_BYTES,
  'offsetof(struct kvm_msr_filter, ranges)': kvm.KVM_MSR_FILTER_RANGES_OFFSET,
  ...offsets('struct kvm_sregs', kvm.KVM_SREGS_SEGMENTS),
  ...offsets('struct kvm_run', run.KVM_RUN, RUN),
};

/** Everything that is written in capitals and is a number; the headers do not have all of it. */
const NUMBERS: Readonly<Record<string, unknown>> = {
  ...{ ...clockId, ...cpuid, ...elf, ...clockData, ...run, ...kvm, ...msr },
  ...{ ...KVM_CAPABILITIES, KVM_API_VERSION },
  ...Object.fromEntries(
    Object.values(KVM_IOCTLS).flatMap((table) => Object.entries(table).map(([name, { request }]) => [name, request])),
  ),
};

function without(layout: Layout, field: string): Layout {
  return Object.fromEntries(Object.entries(layout).filter(([name]) => name !== field));
}

function theirName(names: string, ours: string): string {
  return new Map(names.split(/\s+/).map((pair) => pair.split('=') as [string, string])).get(ours) ?? ours;
}

function offsets(type: string, at: Readonly<Record<string, number>>, names = ''): Record<string, number> {
  return Object.fromEntries(
    Object.entries(at).map(([name, offset]) => [`offsetof(${type}, ${theirName(names, name)})`, offset]),
  );
}

/** What is said here. */
function ours(): Said {
  const said = new Map(Object.entries(PLACES).map(([place, value]) => [place, String(value)]));
  for (const [type, bytes, layout, names = ''] of STRUCTURES) {
    said.set(`sizeof(${type})`, String(bytes));
    for (const [name, [width, at]] of Object.entries(layout)) {
      said.set(`${type}: ${theirName(names, name)}`, `${width} at ${at}`);
    }
  }
  for (const [name, value] of Object.entries(NUMBERS)) {
    if (typeof value === 'number' || typeof value === 'bigint') said.set(name, String(value));
  }
  return said;
}

function program(names: readonly string[]): string {
  const lines = names.map((name) => {
    const [type, field] = name.split(': ');
    if (field !== undefined) {
      const value = `((${type} *)0)->${field}`;
      const sign = `(__typeof__(${value}))-1 < 0 ? 's' : 'u'`;
      return `printf("${name}=%c%zu at %zu\\n", ${sign}, 8 * sizeof(${value}), offsetof(${type}, ${field}));`;
    }
    const print = `printf("${name}=%llu\\n", (unsigned long long)(${name}));`;
    return name.includes('(') ? print : `#ifdef ${name}\n${print}\n#endif`;
  });
  return [...HEADERS.map((name) => `#include <${name}>`), 'int main(void) {', ...lines, 'return 0; }'].join('\n');
}

/** What the headers say of the same, as far as they know it; or why they cannot be asked. */
function theirs(names: readonly string[]): Said | string {
  const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-headers-'));
  const compile = (text: string) =>
    spawnSync('gcc', ['-x', 'c', '-w', '-', '-o', path.join(folder, 'print')], { input: text, encoding: 'utf8' });
  try {
    const probe = compile(
      `#include <linux/kvm.h>\n#include <asm/kvm_para.h>\nint main(void) { return KVM_CAP_X86_MSR_FILTER; }`,
    );
    if (probe.status !== 0)
      return "there is no gcc, or no <linux/kvm.h> of Linux 5.10 or later for this machine's processor";
    assert.deepEqual(compile(program(names)).stderr, '');
    const { stdout } = spawnSync(path.join(folder, 'print'), { encoding: 'utf8' });
    return new Map(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('=') as [string, string]),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Names of which the two say different things. */
function differing(mine: Said, headers: Said): string[] {
  return [...headers].filter(([name, value]) => mine.get(name) !== value).map(([name]) => name);
}

test("src/abi says what this system's C headers say, of every name that they have", (t) => {
  const mine = ours();
  const headers = process.arch === 'x64' ? theirs([...mine.keys()]) : 'this is no x86-64';
  if (typeof headers === 'string') return t.skip(headers);
  assert.deepEqual(differing(mine, headers), []);
  assert.ok(headers.size > 250, `${headers.size} of ${mine.size}`);
  for (const name of ['KVM_RUN', 'DT_STRSZ', 'struct kvm_regs: rip']) {
    assert.deepEqual(differing(new Map([...mine, [name, '1']]), headers), [name]);
  }
});
