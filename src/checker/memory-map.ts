/** The cells of a VM: every vCPU's record, the hypervisor's words, the clamp, and the line that `cached` keeps. */
import { KVM_MSR_ENABLED } from '../abi/msr.ts';
import { PVCLOCK_TSC_STABLE_BIT, PVTI, pvtiAddress } from '../abi/pvti.ts';
import { WALL_CLOCK } from '../abi/wall-clock.ts';
import type { CachedLine } from '../guest/cached.ts';
import { emptyLine } from '../guest/cached.ts';
import { packScale } from '../hypervisor/guest-tsc.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from '../hypervisor/words.ts';
import { tscToNs } from '../scale/time-scale.ts';
import { TSC_RATIO_ONE } from '../scale/tsc-ratio.ts';
import type { CellSpec, Role, Word } from './cells.ts';
import type { ThreadCpu } from './replay.ts';
import type { OwnRecord } from './scenario.ts';

/** Guest-physical address of record 0. */
export const RECORDS = 0x1000;
/** The clamp's u64. */
export const LAST_VALUE = 0x2000;
/** The line that a thread's `cached` keeps. */
export const LINE = 0x3000;
/** The wall clock. */
export const WALL = 0x4000;

/**
 * The first update's instant: host TSC 10 is 100 ns of the VM's clock. Small numbers, but all
 * different, so that a value shows where it comes from.
 */
export const FIRST = { masterCycleNow: 10n, masterKernelNs: 100n, kvmclockOffset: 0n, version: 2 } as const;
/** So a cycle is a nanosecond. */
export const TSC_HZ = 1_000_000_000n;
const SCALE = tscToNs(TSC_HZ);

/** The cells of a VM with `vcpus` vCPUs, every record as the first update left it. */
export function vmCells(vcpus: number): CellSpec[] {
  const numbers = Array.from({ length: vcpus }, (_, vcpu) => vcpu);
  return [...numbers.flatMap(recordCells), ...vmWords(vcpus), ...numbers.flatMap(vcpuWords), ...guestCells()];
}

/** The word of the VM-wide copy that a record's word is made from. */
const STAMPS_FROM: Partial<Record<Role, Role>> = {
  tscTimestamp: 'masterCycleNow',
  systemTime: 'masterKernelNs',
  tscToSystemMul: 'copy',
  tscShift: 'copy',
};

function recordCells(vcpu: number): CellSpec[] {
  const base = pvtiAddress(RECORDS, vcpu);
  const cell = (field: keyof typeof PVTI, bytes: 4 | 8, initial: Word, role: Role, name: string = field): CellSpec => {
    const from = STAMPS_FROM[role];
    const stamped = from === undefined ? {} : { stampFrom: from };
    return {
      name: `record ${vcpu} ${name}`,
      address: base + PVTI[field],
      bytes,
      initial,
      role,
      record: vcpu,
      ...stamped,
    };
  };
  return [
    cell('version', 4, FIRST.version, 'version'),
    cell('pad0', 4, 0, 'other'),
    cell('tscTimestamp', 8, FIRST.masterCycleNow, 'tscTimestamp'),
    cell('systemTime', 8, FIRST.masterKernelNs, 'systemTime'),
    cell('tscToSystemMul', 4, SCALE.mul, 'tscToSystemMul'),
    cell('tscShift', 4, (SCALE.shift & 0xff) | (PVCLOCK_TSC_STABLE_BIT << 8), 'tscShift', 'tscShift and flags'),
  ];
}

/** The words that are not 0 once the VM runs, its TSCs match, and every guest record is registered. */
function vmWords(vcpus: number): CellSpec[] {
  const first: Partial<Record<keyof typeof VM_WORDS, Word>> = {
    useMasterClock: 1,
    masterKernelNs: FIRST.masterKernelNs,
    masterCycleNow: FIRST.masterCycleNow,
    kvmclockOffset: FIRST.kvmclockOffset,
    lineScale: packScale(SCALE),
    lineRatio: TSC_RATIO_ONE,
    onlineVcpus: vcpus,
    matchedVcpus: vcpus - 1,
    lastTscHz: TSC_HZ,
  };
  return Object.entries(VM_WORDS).map(([word, offset]) => ({
    name: word,
    address: vmWord(offset),
    bytes: 0,
    initial: first[word as keyof typeof VM_WORDS] ?? 0,
    record: -1,
    ...vmRole(word),
  }));
}

/** What a cell holds, and where its stamp comes from. */
type Part = Pick<CellSpec, 'role' | 'counts' | 'stampFrom'>;

function vmRole(word: string): Part {
  if (word === 'useMasterClock') return { role: 'copy', counts: true };
  if (word === 'masterKernelNs' || word === 'masterCycleNow') return { role: word, stampFrom: 'copy' };
  return { role: 'other' };
}

function vcpuWords(vcpu: number): CellSpec[] {
  const first: Partial<Record<keyof typeof VCPU_WORDS, Word>> = {
    hostVersion: FIRST.version,
    record: BigInt(pvtiAddress(RECORDS, vcpu) | KVM_MSR_ENABLED),
    timeScale: packScale(SCALE),
    tscRatio: TSC_RATIO_ONE,
    created: 1,
    tscHz: TSC_HZ,
  };
  return Object.entries(VCPU_WORDS).map(([word, offset]) => ({
    name: `${word} of vCPU ${vcpu}`,
    address: vcpuWord(vcpu, offset),
    bytes: 0,
    initial: first[word as keyof typeof VCPU_WORDS] ?? 0,
    role: 'other',
    record: -1,
  }));
}

const LINE_CELLS = {
  version: { offset: 0, bytes: 4, role: 'version', stampFrom: 'flags' },
  tscTimestamp: { offset: 8, bytes: 8, role: 'tscTimestamp', stampFrom: 'tscTimestamp' },
  systemTime: { offset: 16, bytes: 8, role: 'systemTime', stampFrom: 'systemTime' },
  mul: { offset: 24, bytes: 4, role: 'tscToSystemMul', stampFrom: 'tscToSystemMul' },
  shift: { offset: 28, bytes: 4, role: 'tscShift', stampFrom: 'tscShift' },
} as const satisfies Record<keyof CachedLine, object>;

function guestCells(): CellSpec[] {
  const empty = emptyLine();
  const line = Object.entries(LINE_CELLS).map(([field, { offset, bytes, role, stampFrom }]): CellSpec => {
    const initial = empty[field as keyof CachedLine];
    return {
      name: `line ${field}`,
      address: LINE + offset,
      bytes,
      initial,
      role,
      record: 0,
      stampFrom,
      perThread: true,
    };
  });
  return [
    { name: 'last value', address: LAST_VALUE, bytes: 8, initial: 0n, role: 'other', record: -1 },
    ...wallClockCells(),
    ...line,
  ];
}

/** Written once, as the guest booted. */
function wallClockCells(): CellSpec[] {
  const cell = (field: keyof typeof WALL_CLOCK, initial: number, more: Part): CellSpec => {
    return { name: `wall clock ${field}`, address: WALL + WALL_CLOCK[field], bytes: 4, initial, record: -1, ...more };
  };
  return [
    cell('version', FIRST.version, { role: 'other' }),
    cell('sec', 5, { role: 'wallSec', counts: true }),
    cell('nsec', 3, { role: 'wallNsec', stampFrom: 'wallSec' }),
  ];
}

/** The `cached` reader's state, kept in cells of the thread that runs it, so that it is part of what is explored. */
export function lineIn(cpu: ThreadCpu): CachedLine {
  return {
    get version() {
      return cpu.load32(LINE + LINE_CELLS.version.offset);
    },
    set version(value: number) {
      cpu.store32(LINE + LINE_CELLS.version.offset, value);
    },
    get tscTimestamp() {
      return cpu.load64(LINE + LINE_CELLS.tscTimestamp.offset);
    },
    set tscTimestamp(value: bigint) {
      cpu.store64(LINE + LINE_CELLS.tscTimestamp.offset, value);
    },
    get systemTime() {
      return cpu.load64(LINE + LINE_CELLS.systemTime.offset);
    },
    set systemTime(value: bigint) {
      cpu.store64(LINE + LINE_CELLS.systemTime.offset, value);
    },
    get mul() {
      return cpu.load32(LINE + LINE_CELLS.mul.offset);
    },
    set mul(value: number) {
      cpu.store32(LINE + LINE_CELLS.mul.offset, value);
    },
    get shift() {
      return cpu.load32(LINE + LINE_CELLS.shift.offset);
    },
    set shift(value: number) {
      cpu.store32(LINE + LINE_CELLS.shift.offset, value);
    },
  };
}

/** Where each vCPU finds what its own record tells it. */
export function ownRecordsIn(cells: readonly CellSpec[], vcpus: number): OwnRecord[] {
  const named = (name: string): number => cells.findIndex((spec) => spec.name === name);
  return Array.from({ length: vcpus }, (_, vcpu) => ({
    tscTimestamp: named(`record ${vcpu} tscTimestamp`),
    systemTime: named(`record ${vcpu} systemTime`),
    tscToSystemMul: named(`record ${vcpu} tscToSystemMul`),
    tscShift: named(`record ${vcpu} tscShift and flags`),
    tscOffset: named(`tscOffset of vCPU ${vcpu}`),
  }));
}
