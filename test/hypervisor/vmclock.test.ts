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
import { Thread } from './stepper.ts';

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
    fc.property(fc.bigInt({ min: 2n, max: (1n << 40n) - 1n }), (hz) => {
      const { fracSec, shift } = counterPeriod(hz);
      assert.ok(fracSec < 1n << 64n);
      assert.ok(shift === 63 || fracSec >= 1n << 63n);
      const lost = (1n << BigInt(64 + shift)) - fracSec * hz;
      assert.ok(lost >= 0n && lost < hz);
    }),
  );
});

test('initVmclock() and publishVmclock() fill every field that counts', () => {
  const { memory, read } = page();
  assert.equal(publishVmclock(memory, 0, { ...STATE, taiOffsetSec: 37, maxErrorNs: 250n }, 'none'), 2);
  const { shift, fracSec } = counterPeriod(STATE.tscHz);
  assert.deepEqual(read(), {
    magic: VMCLOCK_MAGIC,
    size: VMCLOCK_BYTES,
    version: 1,
    counterId: 1,
    timeType: 0,
    seqCount: 2,
    disruptionMarker: 0n,
    flags: VMCLOCK_FLAG.VM_GEN_COUNTER_PRESENT | VMCLOCK_FLAG.TAI_OFFSET_VALID | VMCLOCK_FLAG.TIME_MAXERROR_VALID,
    clockStatus: VMCLOCK_STATUS.SYNCHRONIZED,
    smearingHint: 0,
    taiOffsetSec: 37,
    leapIndicator: 0,
    counterPeriodShift: shift,
    counterValue: 1000n,
    counterPeriodFracSec: fracSec,
    counterPeriodEsterror: 0n,
    counterPeriodMaxerror: 0n,
    timeSec: 1_420_000_000n,
    timeFracSec: 1n << 63n,
    timeEsterrorNs: 0n,
    timeMaxerrorNs: 250n,
    vmGenerationCounter: 0n,
  });
});

test('publishVmclock() mends an odd sequence and takes a status and a TAI offset below zero', () => {
  const { memory, read } = page();
  memory.store32(12, 7);
  const status = VMCLOCK_STATUS.UNRELIABLE;
  assert.equal(publishVmclock(memory, 0, { ...STATE, status, taiOffsetSec: -1 }, 'none'), 10);
  assert.deepEqual([read().clockStatus, read().taiOffsetSec], [4, -1]);
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
function pagesSeen(write: (cpu: HostCpu) => void): number {
  const { memory, read } = page();
  publishVmclock(memory, 0, STATE, 'none');
  const seen = new Set<string>();
  const look = () => {
    const { seqCount, counterValue, counterPeriodFracSec, timeSec, timeFracSec, disruptionMarker } = read();
    if (seqCount % 2 === 0)
      seen.add([counterValue, counterPeriodFracSec, timeSec, timeFracSec, disruptionMarker].join());
  };
  const thread = new Thread(memory, write);
  for (look(); !thread.finished; look()) thread.step();
  return seen.size;
}

test('publishVmclock() shows an even sequence only with a whole page', () => {
  assert.equal(
    pagesSeen((cpu) => publishVmclock(cpu, 0, OTHER, 'migrated')),
    2,
  );
});

test('a writer that keeps the sequence even is caught', () => {
  const skipOdd = (cpu: HostCpu): HostCpu => ({
    ...cpu,
    load32: (address) => cpu.load32(address),
    store32: (address, value) => cpu.store32(address, address === VMCLOCK.seqCount ? value & ~1 : value),
  });
  assert.ok(pagesSeen((cpu) => publishVmclock(skipOdd(cpu), 0, OTHER, 'migrated')) > 2);
});
