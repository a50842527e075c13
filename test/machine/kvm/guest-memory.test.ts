import assert from 'node:assert/strict';
import test from 'node:test';
import { pvtiAddress } from '../../../src/abi/pvti.ts';
import {
  DATA_AT,
  GUEST_MEMORY_BYTES,
  IMAGES_AT,
  layOutMemory,
  MAX_GUEST_VCPUS,
  RECORDS_AT,
  vcpuPages,
  WALL_CLOCK_AT,
} from '../../../src/machine/kvm/guest-memory.ts';
import { GuestMemory } from '../../../src/machine/kvm/memory.ts';
import { isUnavailable, openSys } from '../../../src/machine/sys.ts';

const PAGE = 4096;
const PAGE_TABLES_AT = 0x1000;
/** Each 2 MiB have a page table; three pages of the levels above come before them, and vCPU 0 behind them. */
const MOST_BYTES = 24 << 20;
const sys = openSys();
const skip = isUnavailable(sys) && sys.unavailable;

function withMemory(bytes: number, body: (memory: GuestMemory) => void): void {
  if (isUnavailable(sys)) throw new Error(sys.unavailable);
  const memory = new GuestMemory(sys, bytes);
  try {
    body(memory);
  } finally {
    memory.unmap();
  }
}

test('every part of a guest memory ends before the next one begins', () => {
  const vcpus = Array.from({ length: MAX_GUEST_VCPUS }, (_, vcpu) => vcpuPages(vcpu));
  const tables = PAGE_TABLES_AT + (3 + GUEST_MEMORY_BYTES / (512 * PAGE)) * PAGE;
  const parts = [
    [PAGE_TABLES_AT, tables],
    ...vcpus.flatMap(({ gdt, tss, mailbox, stackTop }) => [
      [gdt, gdt + 0x80],
      [tss, mailbox],
      [mailbox, mailbox + PAGE],
      [mailbox + PAGE, stackTop],
    ]),
    [RECORDS_AT, pvtiAddress(RECORDS_AT, MAX_GUEST_VCPUS)],
    [WALL_CLOCK_AT, WALL_CLOCK_AT + PAGE],
    [IMAGES_AT, DATA_AT],
    [DATA_AT, GUEST_MEMORY_BYTES],
  ] as [number, number][];
  for (const [i, [start, end]] of parts.entries()) {
    assert.ok(start < end && start >= (parts[i - 1]?.[1] ?? 0), `${start.toString(16)}..${end.toString(16)}`);
  }
});

test('layOutMemory() takes as much memory as it has room for page tables, and no more', { skip }, () => {
  withMemory(MOST_BYTES, (memory) => layOutMemory(memory, 1));
  withMemory(MOST_BYTES + PAGE, (memory) => {
    const message = `guest memory: at most 24 MiB, got ${MOST_BYTES + PAGE} bytes`;
    assert.throws(() => layOutMemory(memory, 1), { name: 'RangeError', message });
  });
});
