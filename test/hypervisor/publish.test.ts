import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodePvti,
  encodePvti,
  PVCLOCK_GUEST_STOPPED,
  PVCLOCK_TSC_STABLE_BIT,
  type Pvti,
} from '../../src/abi/pvti.ts';
import type { HostCpu } from '../../src/hypervisor/cpu.ts';
import type { Writer } from '../../src/hypervisor/policy.ts';
import {
  type PvtiBody,
  publish,
  publishFromGuestVersion,
  publishFromHostCache,
  publishToday,
  publishXen,
} from '../../src/hypervisor/publish.ts';
import { createWords, sharedMemory } from '../../src/hypervisor/shared-memory.ts';
import { VCPU_WORDS, vcpuWord } from '../../src/hypervisor/words.ts';
import { type StoreOrder, WATCHES, withoutBarriers } from './weak-stores.ts';

const PVTI = 64;
const HOST_VERSION = vcpuWord(0, VCPU_WORDS.hostVersion);

const OLD: Pvti = {
  version: 6,
  tscTimestamp: 1000n,
  systemTime: 2000n,
  tscToSystemMul: 0x8000_0000,
  tscShift: -1,
  flags: PVCLOCK_TSC_STABLE_BIT,
};
const NEW: PvtiBody = { tscTimestamp: 5000n, systemTime: 7000n, tscToSystemMul: 0xcccc_cccc, tscShift: 1, flags: 0 };

function memoryWith(pvti: Pvti): { memory: HostCpu; record: () => Pvti } {
  const buffer = new SharedArrayBuffer(4096);
  encodePvti(pvti, new DataView(buffer), PVTI);
  const hostClock = { tsc: () => 0n, ns: () => 0n };
  const memory = sharedMemory({ memory: buffer, words: createWords(1), hostClock });
  memory.store32(HOST_VERSION, pvti.version);
  return { memory, record: () => decodePvti(new DataView(buffer), PVTI) };
}

const bodyOf = ({ version: _, ...body }: Pvti): PvtiBody => body;

for (const [found, left] of [
  [0, 2],
  [6, 8],
  [7, 10],
  [0xffff_fffe, 0],
  [0xffff_ffff, 2],
  [0xdead_beef, 0xdead_bef2],
] as const) {
  test(`publishToday() and publishXen() leave version ${left} where they found ${found}`, () => {
    for (const write of [publishToday, publishXen]) {
      const { memory, record } = memoryWith({ ...OLD, version: found });
      assert.equal(write(memory, PVTI, NEW), left);
      assert.deepEqual(record(), { ...NEW, version: left });
    }
  });
}

test('publishFromGuestVersion() goes two on from the version in guest memory, odd or not, and wraps', () => {
  for (const [found, left] of [
    [6, 8],
    [7, 9],
    [0xffff_fffe, 0],
    [0xffff_ffff, 1],
  ] as const) {
    const { memory, record } = memoryWith({ ...OLD, version: found });
    assert.equal(publishFromGuestVersion(memory, PVTI, NEW), left);
    assert.deepEqual(record(), { ...NEW, version: left });
  }
});

test('publishFromHostCache() goes two on from its own version, whatever stands in guest memory', () => {
  const { memory, record } = memoryWith({ ...OLD, version: 4 });
  memory.store32(PVTI, 99);
  assert.equal(publishFromHostCache(memory, PVTI, NEW, HOST_VERSION), 6);
  assert.equal(publishFromHostCache(memory, PVTI, NEW, HOST_VERSION), 8);
  assert.deepEqual(record(), { ...NEW, version: 8 });
  memory.store32(HOST_VERSION, 0xffff_fffe);
  assert.equal(publishFromHostCache(memory, PVTI, NEW, HOST_VERSION), 0);
});

test('publish() counts on from its own version as 2014, from the one in guest memory as any other', () => {
  for (const [writer, left] of [
    ['2014', 52],
    ['2015', 9],
    ['today', 10],
    ['xen', 10],
  ] as const) {
    const { memory, record } = memoryWith({ ...OLD, version: 7 });
    memory.store32(HOST_VERSION, 50);
    publish(memory, writer, PVTI, NEW, HOST_VERSION);
    assert.equal(record().version, left);
  }
});

test('publishXen() writes nothing where the record is what it would publish', () => {
  const { memory, record } = memoryWith(OLD);
  assert.equal(publishXen(memory, PVTI, bodyOf(OLD)), undefined);
  assert.deepEqual(record(), OLD);
  for (const change of [
    { tscTimestamp: 1n },
    { systemTime: 1n },
    { tscToSystemMul: 1 },
    { tscShift: 0 },
    { flags: 0 },
  ]) {
    const { memory: other, record: after } = memoryWith(OLD);
    assert.equal(publishXen(other, PVTI, { ...bodyOf(OLD), ...change }), 8);
    assert.deepEqual(after(), { ...OLD, ...change, version: 8 });
  }
});

test('KVM keeps a GUEST_STOPPED that the guest has not taken yet; Xen writes its own flags', () => {
  const stopped = { ...OLD, flags: PVCLOCK_TSC_STABLE_BIT | PVCLOCK_GUEST_STOPPED };
  const flagsAfter = (writer: Writer) => {
    const { memory, record } = memoryWith(stopped);
    publish(memory, writer, PVTI, { ...NEW, flags: PVCLOCK_TSC_STABLE_BIT }, HOST_VERSION);
    return record().flags;
  };
  for (const writer of ['2014', '2015', 'today'] as const) assert.equal(flagsAfter(writer), stopped.flags);
  assert.equal(flagsAfter('xen'), PVCLOCK_TSC_STABLE_BIT);
});

test('publish() zeroes the padding', () => {
  for (const writer of ['2014', '2015', 'today', 'xen'] as const) {
    const { memory } = memoryWith(OLD);
    memory.store32(PVTI + 4, 0xffff_ffff);
    memory.store32(PVTI + 28, 0xffff_ffff);
    publish(memory, writer, PVTI, NEW, HOST_VERSION);
    assert.equal(memory.load32(PVTI + 4), 0);
    assert.equal(memory.load32(PVTI + 28) >>> 16, 0);
  }
});

const publishNew =
  (writer: Writer) =>
  (cpu: HostCpu): void =>
    publish(cpu, writer, PVTI, NEW, HOST_VERSION);

/** What a reader could take for a record, were it to read between any two stores of the writer as they are seen: its body, if any. */
function acceptedOnTheWay(order: StoreOrder, write: (cpu: HostCpu) => void): PvtiBody[] {
  const { memory, record } = memoryWith({ ...OLD, version: 0xffff_fffc });
  const accepted: PvtiBody[] = [];
  WATCHES[order](memory, write, () => {
    const seen = record();
    if (seen.version % 2 === 0) accepted.push(bodyOf(seen));
  });
  return accepted;
}

const isTorn = (body: PvtiBody): boolean =>
  [bodyOf(OLD), NEW].every((whole) => JSON.stringify(body, bigints) !== JSON.stringify(whole, bigints));
const bigints = (_: string, value: unknown) => (typeof value === 'bigint' ? value.toString() : value);

for (const writer of ['today', 'xen'] as const) {
  for (const order of ['in order', 'last first'] as const) {
    test(`the writer ${writer} shows an even version only with a whole record, its stores seen ${order}`, () => {
      const accepted = acceptedOnTheWay(order, publishNew(writer));
      assert.deepEqual(accepted.filter(isTorn), []);
      assert.deepEqual(accepted[0], bodyOf(OLD));
      assert.deepEqual(accepted.at(-1), NEW);
    });
  }

  test(`the writer ${writer} without its barriers is caught where stores are seen last first`, () => {
    const accepted = acceptedOnTheWay('last first', withoutBarriers(publishNew(writer)));
    assert.notDeepEqual(accepted.filter(isTorn), []);
  });
}

for (const writer of ['2014', '2015'] as const) {
  for (const order of ['in order', 'last first'] as const) {
    test(`the writer ${writer} shows an even version with a torn record, its stores seen ${order}`, () => {
      assert.notDeepEqual(acceptedOnTheWay(order, publishNew(writer)).filter(isTorn), []);
    });
  }
}

test('publish() leaves any body as it was given, from any version', () => {
  const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
  const fields = {
    tscTimestamp: u64,
    systemTime: u64,
    tscToSystemMul: fc.integer({ min: 0, max: 0xffff_ffff }),
    tscShift: fc.integer({ min: -128, max: 127 }),
    flags: fc.integer({ min: 0, max: 1 }),
  };
  const body = fc.record(fields, { noNullPrototype: true });
  const writer = fc.constantFrom<Writer>('2014', '2015', 'today', 'xen');
  fc.assert(
    fc.property(body, writer, fc.integer({ min: 0, max: 0xffff_ffff }), (given, by, version) => {
      const { memory, record } = memoryWith({ ...OLD, version });
      publish(memory, by, PVTI, given, HOST_VERSION);
      assert.deepEqual(bodyOf(record()), given);
    }),
  );
});
