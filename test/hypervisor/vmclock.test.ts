import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeStruct } from '../../src/abi/struct.ts';
import {
  VMCLOCK,
  VMCLOCK_BYTES,
  VMCLOCK_FLAG,
  VMCLOCK_LAYOUT,
  VMCLOCK_MAGIC,
  VMCLOCK_STATUS,
} from '../../src/abi/vmclock.ts';
import type { HostCpu } from '../../src/hypervisor/cpu.ts';
import { createWords, sharedMemory } from '../../src/hypervisor/shared-memory.ts';
import { counterPeriod, initVmclock, publishVmclock, type VmclockState } from '../../src/hypervisor/vmclock.ts';
import { type StoreOrder, WATCHES, withoutBarriers } from './weak-stores.ts';

const SEC = 1_000_000_000n;
const STATE: VmclockState = { tsc: 1000n, utcNs: 1_420_000_000n * SEC + 500_000_000n, tscHz: 2_500_000_000n };

function page() {
  const buffer = new SharedArrayBuffer(4096);
  const memory = sharedMemory({ memory: buffer, words: createWords(1), hostClock: { tsc: () => 0n, ns: () => 0n } });
  initVmclock(memory, 0);
  return { memory, read: () => decodeStruct(VMCLOCK_LAYOUT, new DataView(buffer)) };
}

test('counterPeriod() of a rate is exact to 2^-63 of itself', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 2n, max: (1n << 64n) - 1n }), (hz) => {
      const { fracSec, shift } = counterPeriod(hz);
      assert.ok(fracSec < 1n << 64n);
      assert.ok(fracSec >= 1n << 63n);
      const lost = (1n << BigInt(64 + shift)) - fracSec * hz;
      assert.ok(lost >= 0n && lost < hz);
    }),
    { examples: [[2n], [3n], [(1n << 64n) - 1n]] },
  );
});

test('initVmclock() and publishVmclock() fill every field that counts', () => {
  const { memory, read } = page();
  const keeps = VMCLOCK_FLAG.TIME_MONOTONIC;
  const known = { flags: keeps, taiOffsetSec: 37, maxErrorNs: 250n, maxErrorPpb: 1_000_000_000, leapIndicator: 2 };
  assert.equal(publishVmclock(memory, 0, { ...STATE, ...known }, 'none'), 2);
  const { shift, fracSec } = counterPeriod(STATE.tscHz);
  const { TAI_OFFSET_VALID, TIME_MAXERROR_VALID, PERIOD_MAXERROR_VALID, VM_GEN_COUNTER_PRESENT } = VMCLOCK_FLAG;
  assert.deepEqual(read(), {
    magic: VMCLOCK_MAGIC,
    size: VMCLOCK_BYTES,
    version: 1,
    counterId: 1,
    timeType: 0,
    seqCount: 2,
    disruptionMarker: 0n,
    flags: keeps | TAI_OFFSET_VALID | TIME_MAXERROR_VALID | PERIOD_MAXERROR_VALID | VM_GEN_COUNTER_PRESENT,
    clockStatus: VMCLOCK_STATUS.SYNCHRONIZED,
    smearingHint: 0,
    taiOffsetSec: 37,
    leapIndicator: 2,
    counterPeriodShift: shift,
    counterValue: 1000n,
    counterPeriodFracSec: fracSec,
    counterPeriodEsterror: 0n,
    counterPeriodMaxerror: fracSec,
    timeSec: 1_420_000_000n,
    timeFracSec: 1n << 63n,
    timeEsterrorNs: 0n,
    timeMaxerrorNs: 250n,
    vmGenerationCounter: 0n,
  });
});

test('publishVmclock() says of nothing that it is known where it was not given', () => {
  const { memory, read } = page();
  publishVmclock(memory, 0, STATE, 'none');
  const { flags, taiOffsetSec, leapIndicator, counterPeriodMaxerror, timeMaxerrorNs } = read();
  assert.deepEqual(
    [flags, taiOffsetSec, leapIndicator, counterPeriodMaxerror, timeMaxerrorNs],
    [VMCLOCK_FLAG.VM_GEN_COUNTER_PRESENT, 0, 0, 0n, 0n],
  );
});

test('initVmclock() clears the 112 bytes of whatever stood there, and none behind', () => {
  const buffer = new SharedArrayBuffer(4096);
  new Uint8Array(buffer).fill(0xff);
  const memory = sharedMemory({ memory: buffer, words: createWords(1), hostClock: { tsc: () => 0n, ns: () => 0n } });
  initVmclock(memory, 0);
  const clean = page();
  for (let at = 0; at < 112; at += 4) assert.equal(memory.load32(at), clean.memory.load32(at), `at ${at}`);
  assert.equal(memory.load32(112), 0xffff_ffff);
});

test('publishVmclock() mends an odd sequence and takes a status and a TAI offset below zero', () => {
  const { memory, read } = page();
  memory.store32(12, 7);
  const status = VMCLOCK_STATUS.UNRELIABLE;
  assert.equal(publishVmclock(memory, 0, { ...STATE, status, taiOffsetSec: -1 }, 'none'), 10);
  assert.deepEqual([read().clockStatus, read().taiOffsetSec], [4, -1]);
});

test('publishVmclock() refuses what no page can tell, and leaves the page as it was', () => {
  const { memory, read } = page();
  publishVmclock(memory, 0, STATE, 'none');
  const before = read();
  for (const [bad, message] of [
    [{ tscHz: 0n }, 'tscHz: 0 Hz is too slow for a page to tell'],
    [{ tscHz: 1n }, 'tscHz: 1 Hz is too slow for a page to tell'],
    [{ tscHz: -1n }, 'tscHz: -1 is not a bigint from 0 to 2^64-1'],
    [{ tsc: 1n << 64n }, 'tsc: 18446744073709551616 is not a bigint from 0 to 2^64-1'],
    [{ utcNs: -1n }, 'utcNs: -1 is not a bigint from 0 to 2^64-1'],
    [{ maxErrorNs: -1n }, 'maxErrorNs: -1 is not a bigint from 0 to 2^64-1'],
  ] as const) {
    assert.throws(() => publishVmclock(memory, 0, { ...STATE, ...bad }, 'restored'), { name: 'RangeError', message });
  }
  assert.throws(() => publishVmclock(memory, 0, { ...STATE, maxErrorPpb: Number.NaN }, 'restored'), RangeError);
  assert.deepEqual(read(), before);
});

test('the error of the rate is rounded up, that of half a part in 10^9 to one', () => {
  const { memory, read } = page();
  const errorOf = (maxErrorPpb: number) => {
    publishVmclock(memory, 0, { ...STATE, maxErrorPpb }, 'none');
    return read().counterPeriodMaxerror;
  };
  const { fracSec } = counterPeriod(STATE.tscHz);
  assert.notEqual(fracSec % SEC, 0n);
  assert.deepEqual([0, 1, 0.5, 1_000_000_000].map(errorOf), [0n, fracSec / SEC + 1n, fracSec / SEC + 1n, fracSec]);
});

test('a migration changes the disruption marker, a restored snapshot the generation counter too', () => {
  const { memory, read } = page();
  const counters = (disruption: 'none' | 'migrated' | 'restored') => {
    publishVmclock(memory, 0, STATE, disruption);
    return [read().disruptionMarker, read().vmGenerationCounter];
  };
  assert.deepEqual(counters('none'), [0n, 0n]);
  assert.deepEqual(counters('migrated'), [1n, 0n]);
  assert.deepEqual(counters('restored'), [2n, 1n]);
});

const OTHER: VmclockState = { tsc: 9n, utcNs: 77n * SEC, tscHz: 3_000_000_000n, taiOffsetSec: 5 };

/** How many different pages stand under an even sequence at any moment while `write` replaces STATE. */
function pagesSeen(write: (cpu: HostCpu) => void, order: StoreOrder = 'in order'): number {
  const { memory, read } = page();
  publishVmclock(memory, 0, STATE, 'none');
  memory.store32(VMCLOCK.seqCount, 0xffff_fffc);
  memory.store64(VMCLOCK.disruptionMarker, (1n << 64n) - 1n);
  const seen = new Set<string>();
  WATCHES[order](memory, write, () => {
    const { seqCount, counterValue, counterPeriodFracSec, timeSec, timeFracSec, disruptionMarker } = read();
    if (seqCount % 2 === 0)
      seen.add([counterValue, counterPeriodFracSec, timeSec, timeFracSec, disruptionMarker].join());
  });
  return seen.size;
}

const publishOther = (cpu: HostCpu): void => void publishVmclock(cpu, 0, OTHER, 'migrated');

for (const order of ['in order', 'last first'] as const) {
  test(`publishVmclock() shows an even sequence only with a whole page, its stores seen ${order}`, () => {
    assert.equal(pagesSeen(publishOther, order), 2);
  });
}

test('a writer of the page without its barriers is caught where stores are seen last first', () => {
  assert.ok(pagesSeen(withoutBarriers(publishOther), 'last first') > 2);
});

test('a writer that keeps the sequence even is caught', () => {
  const skipOdd = (cpu: HostCpu): HostCpu => ({
    ...cpu,
    load32: (address) => cpu.load32(address),
    store32: (address, value) => cpu.store32(address, address === VMCLOCK.seqCount ? value & ~1 : value),
  });
  assert.ok(pagesSeen((cpu) => publishVmclock(skipOdd(cpu), 0, OTHER, 'migrated')) > 2);
});
