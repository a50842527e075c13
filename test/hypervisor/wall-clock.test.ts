import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeStruct } from '../../src/abi/struct.ts';
import { WALL_CLOCK_LAYOUT } from '../../src/abi/wall-clock.ts';
import type { HostCpu } from '../../src/hypervisor/cpu.ts';
import { createWords, sharedMemory } from '../../src/hypervisor/shared-memory.ts';
import { publishWallClock } from '../../src/hypervisor/wall-clock.ts';
import { type StoreOrder, WATCHES, withoutBarriers } from './weak-stores.ts';

const WALL = 16;
const SEC_HI = 256;

function memoryWith(version: number) {
  const buffer = new SharedArrayBuffer(4096);
  const view = new DataView(buffer);
  view.setUint32(WALL, version, true);
  const memory = sharedMemory({ memory: buffer, words: createWords(1), hostClock: { tsc: () => 0n, ns: () => 0n } });
  return { memory, view, wall: () => decodeStruct(WALL_CLOCK_LAYOUT, view, WALL) };
}

test('publishWallClock() writes seconds and nanoseconds since 1970', () => {
  const { memory, wall } = memoryWith(0);
  assert.equal(publishWallClock(memory, WALL, 1_420_451_234_987_654_321n), 2);
  assert.deepEqual(wall(), { version: 2, sec: 1_420_451_234, nsec: 987_654_321 });
});

test('publishWallClock() mends an odd version and wraps', () => {
  for (const [found, left] of [
    [2, 4],
    [3, 6],
    [0xffff_fffe, 0],
    [0xffff_ffff, 2],
  ] as const) {
    const { memory, wall } = memoryWith(found);
    assert.equal(publishWallClock(memory, WALL, 5n), left);
    assert.deepEqual(wall(), { version: left, sec: 0, nsec: 5 });
  }
});

test('publishWallClock() puts the high word of the seconds where it is told, and cuts it off elsewhere', () => {
  const year2200 = 7_258_118_400n * 1_000_000_000n;
  const { memory, view, wall } = memoryWith(0);
  publishWallClock(memory, WALL, year2200, SEC_HI);
  assert.equal((BigInt(view.getUint32(SEC_HI, true)) << 32n) | BigInt(wall().sec), 7_258_118_400n);
  const other = memoryWith(0);
  publishWallClock(other.memory, WALL, year2200);
  assert.equal(other.view.getUint32(SEC_HI, true), 0);
  assert.equal(other.wall().sec, Number(7_258_118_400n & 0xffff_ffffn));
});

/** The times that stand under an even version at any moment while `write` puts 3.7 s in place of 0. */
function timesSeen(write: (cpu: HostCpu) => void, order: StoreOrder = 'in order'): string[] {
  const { memory, view, wall } = memoryWith(0xffff_fffc);
  const seen = new Set<string>();
  WATCHES[order](memory, write, () => {
    const { version, sec, nsec } = wall();
    if (version % 2 === 0) seen.add(`${sec}.${nsec}+${view.getUint32(SEC_HI, true)}`);
  });
  return [...seen];
}

const publishOther = (cpu: HostCpu): void => void publishWallClock(cpu, WALL, 3_000_000_007n, SEC_HI);

for (const order of ['in order', 'last first'] as const) {
  test(`publishWallClock() keeps the version odd from the first changed word to after the last, its stores seen ${order}`, () => {
    assert.deepEqual(timesSeen(publishOther, order), ['0.0+0', '3.7+0']);
  });
}

test('a writer of the wall clock without its barriers is caught where stores are seen last first', () => {
  assert.notDeepEqual(timesSeen(withoutBarriers(publishOther), 'last first'), ['0.0+0', '3.7+0']);
});

test('a writer that puts the version last alone is caught', () => {
  const seen = timesSeen((cpu) => {
    cpu.store32(WALL + 4, 3);
    cpu.store32(WALL + 8, 7);
    cpu.store32(WALL, 6);
  });
  assert.ok(seen.includes('3.0+0'));
});
