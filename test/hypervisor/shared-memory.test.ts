import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HYPERVISOR_WORDS } from '../../src/hypervisor/cpu.ts';
import { createWords, sharedMemory } from '../../src/hypervisor/shared-memory.ts';

const hostClock = { tsc: () => 11n, ns: () => 22n };

test('loads and stores are little-endian, at every alignment, and reach no other byte', () => {
  const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
  const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
  fc.assert(
    fc.property(fc.nat(40), u32, u64, (at, small, big) => {
      const buffer = new SharedArrayBuffer(64);
      const view = new DataView(buffer);
      const memory = sharedMemory({ memory: buffer, words: createWords(1), hostClock });
      memory.store32(at, small);
      assert.equal(view.getUint32(at, true), small);
      assert.equal(memory.load32(at), small);
      memory.store64(at + 8, big);
      assert.equal(view.getBigUint64(at + 8, true), big);
      assert.equal(memory.load64(at + 8), big);
      const touched = new Set([0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15].map((byte) => at + byte));
      for (let byte = 0; byte < 64; byte++) if (!touched.has(byte)) assert.equal(view.getUint8(byte), 0);
    }),
  );
});

test('atomic operations return what was there', () => {
  const memory = sharedMemory({ memory: new SharedArrayBuffer(64), words: createWords(1), hostClock });
  for (const at of [8, HYPERVISOR_WORDS + 8]) {
    assert.equal(memory.fetchOr32(at, 0x8000_0001), 0);
    assert.equal(memory.fetchOr32(at, 2), 0x8000_0001);
    assert.equal(memory.fetchAndNot32(at, 1), 0x8000_0003);
    assert.equal(memory.exchange32(at, 7), 0x8000_0002);
    assert.equal(memory.load32(at), 7);
  }
});

test('guest memory may lie in regions with holes between', () => {
  const low = new SharedArrayBuffer(4096);
  const high = new ArrayBuffer(8192);
  const regions = [
    { address: 0, buffer: low },
    { address: 2 ** 32, buffer: high, offset: 4096 },
  ];
  const memory = sharedMemory({ memory: regions, words: createWords(1), hostClock });
  memory.store32(2 ** 32 + 8, 5);
  assert.equal(new DataView(high).getUint32(4096 + 8, true), 5);
  assert.deepEqual([memory.holds(4092, 4), memory.holds(4093, 4), memory.holds(2 ** 32, 4096)], [true, false, true]);
  assert.equal(memory.holds(2 ** 32 + 1, 4096), false);
  for (const at of [4096, 4094, 2 ** 32 - 4, 2 ** 32 + 4096]) {
    assert.throws(() => memory.load32(at), { name: 'RangeError', message: /no memory there/ });
  }
});

test('a region off its alignment is refused', () => {
  const memory = [{ address: 4, buffer: new SharedArrayBuffer(64) }];
  assert.throws(() => sharedMemory({ memory, words: createWords(1), hostClock }), /multiples of 8/);
});

test('a region beyond its buffer is refused, and so are words for no vCPU', () => {
  for (const region of [{ bytes: 128 }, { offset: 72 }, { offset: -8 }, { bytes: -8 }]) {
    const memory = [{ address: 0, buffer: new SharedArrayBuffer(64), ...region }];
    const make = () => sharedMemory({ memory, words: createWords(1), hostClock });
    assert.throws(make, /^RangeError: guest region at 0: bytes -?\d+ to -?\d+ of a buffer that has 64$/);
  }
  for (const vcpus of [0, -1, 0.5]) assert.throws(() => createWords(vcpus), /^RangeError: vcpus: /);
});

test('wait32() returns at once where the word is another, and refuses to sleep where nobody can wake it', () => {
  const shared = sharedMemory({ memory: new SharedArrayBuffer(64), words: createWords(1), hostClock });
  shared.wait32(HYPERVISOR_WORDS, 1);
  shared.wake32(HYPERVISOR_WORDS);
  const alone = sharedMemory({ memory: new ArrayBuffer(64), words: new ArrayBuffer(1024), hostClock });
  assert.throws(() => alone.wait32(HYPERVISOR_WORDS, 0), /not in a SharedArrayBuffer/);
});

test('clocks and kicks go to those who were given', () => {
  const kicks: number[] = [];
  const kick = (vcpu: number) => void kicks.push(vcpu);
  const memory = sharedMemory({ memory: new SharedArrayBuffer(64), words: createWords(1), hostClock, kick });
  memory.kick(3);
  assert.deepEqual([memory.hostTsc(), memory.hostNs(), kicks], [11n, 22n, [3]]);
});
