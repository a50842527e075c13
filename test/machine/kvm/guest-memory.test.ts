import assert from 'node:assert/strict';
import test from 'node:test';
import type { KvmSegment, KvmSregs } from '../../../src/abi/kvm-structs.ts';
import { pvtiAddress } from '../../../src/abi/pvti.ts';
import {
  DATA_AT,
  GUEST_MEMORY_BYTES,
  IMAGES_AT,
  layOutMemory,
  MAX_GUEST_VCPUS,
  RECORDS_AT,
  sregsFor,
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

/** The descriptor at `selector` of a table, as KVM's registers have a segment. */
function descriptorAt(view: DataView, table: number, selector: number): Partial<KvmSegment> {
  const [low, high] = [0, 4].map((offset) => view.getUint32(table + (selector & ~7) + offset, true)) as [
    number,
    number,
  ];
  const bits = (at: number, count: number) => (high >>> at) & ((1 << count) - 1);
  const g = bits(23, 1);
  const limit = (high & 0xf0000) | (low & 0xffff);
  return {
    base: BigInt(((high & 0xff00_0000) | ((high & 0xff) << 16) | (low >>> 16)) >>> 0),
    limit: g === 1 ? ((limit << 12) | 0xfff) >>> 0 : limit,
    selector,
    type: bits(8, 4),
    s: bits(12, 1),
    dpl: bits(13, 2),
    present: bits(15, 1),
    avl: bits(20, 1),
    l: bits(21, 1),
    db: bits(22, 1),
    g,
    unusable: 0,
  };
}

test('sregsFor() gives segments as the descriptors in the table of their vCPU have them', { skip }, () => {
  withMemory(GUEST_MEMORY_BYTES, (memory) => {
    layOutMemory(memory, 2);
    for (const ring of [0, 3] as const) {
      const { cs, ds, es, fs, gs, ss, gdtBase, gdtLimit } = sregsFor({} as KvmSregs, 1, ring);
      assert.deepEqual([Number(gdtBase), gdtLimit], [vcpuPages(1).gdt, 0x7f]);
      for (const segment of [cs, ds, es, fs, gs, ss]) {
        assert.deepEqual(segment, descriptorAt(memory.view, Number(gdtBase), segment.selector));
        assert.deepEqual([segment.dpl, segment.selector & 3], [ring, ring]);
      }
      assert.deepEqual([cs.l, cs.type, ss.type], [1, 11, 3]);
    }
  });
});
