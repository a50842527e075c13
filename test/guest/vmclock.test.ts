import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  VMCLOCK,
  VMCLOCK_BYTES,
  VMCLOCK_COUNTER,
  VMCLOCK_FLAG,
  VMCLOCK_LEAP,
  VMCLOCK_MAGIC,
  VMCLOCK_STATUS,
  VMCLOCK_TIME,
  VMCLOCK_VERSION,
} from '../../src/abi/vmclock.ts';
import { isVmclock, readVmclock, utcNs } from '../../src/guest/vmclock.ts';
import { initVmclock, publishVmclock, type VmclockState } from '../../src/hypervisor/vmclock.ts';
import { pageReader } from './page-cpu.ts';
import { ScriptedCpu } from './scripted-cpu.ts';

const SEC = 1_000_000_000n;
const UTC_NS = 1_420_000_000n * SEC + 123_456_789n;

function page(tscHz = 2_500_000_000n) {
  const reader = pageReader();
  initVmclock(reader.host, 0);
  const publish = (utc: bigint, disruption: 'none' | 'migrated' | 'restored' = 'none') =>
    publishVmclock(reader.host, 0, { tsc: 5000n, utcNs: utc, tscHz, taiOffsetSec: 37 }, disruption);
  publish(UTC_NS);
  return { ...reader, publish };
}

test('isVmclock() knows a page by magic, size and version', () => {
  const { guest, host } = page();
  assert.equal(isVmclock(guest, 0), true);
  assert.equal(isVmclock(guest, 1024), false);
  for (const [field, value] of [
    [VMCLOCK.magic, VMCLOCK_MAGIC + 1],
    [VMCLOCK.size, VMCLOCK_BYTES - 8],
    [VMCLOCK.version, VMCLOCK_VERSION + 1],
  ] as const) {
    const other = page();
    other.host.store32(field, value);
    assert.equal(isVmclock(other.guest, 0), false);
  }
  host.store32(VMCLOCK.size, 4096);
  assert.equal(isVmclock(guest, 0), true, 'with fields that are not known here');
});

test('readVmclock() counts on from the published instant at the published rate, and back where the TSC is behind it', () => {
  const rates = fc.bigInt({ min: 500_000_000n, max: 5_000_000_000n });
  const later = fc.oneof(fc.bigInt({ min: 0n, max: 10n ** 13n }), fc.bigInt({ min: -(10n ** 6n), max: 0n }));
  fc.assert(
    fc.property(rates, later, (hz, later) => {
      const { guest, clock } = page(hz);
      clock.tsc = BigInt.asUintN(64, 5000n + later);
      const expected = UTC_NS + (later * SEC) / hz;
      const off = utcNs(readVmclock(guest, 0)!)! - expected;
      assert.ok(off >= -1n && off <= 1n, `${off} ns off`);
    }),
  );
});

test('readVmclock() counts any cycles of an s64 from there, and seconds mod 2^64', () => {
  const { guest, host, clock } = page();
  host.store64(VMCLOCK.counterValue, 0n);
  host.store64(VMCLOCK.counterPeriodFracSec, 1n << 32n);
  host.store32(VMCLOCK.taiOffsetSec, 0); // and the shift, in the same word
  host.store64(VMCLOCK.timeFracSec, 0n);
  for (const [timeSec, cycles, sec] of [
    [5n, (1n << 63n) - (1n << 32n), (1n << 31n) + 4n],
    [5n + (1n << 31n), -(1n << 63n), 5n],
    [5n, -(6n << 32n), (1n << 64n) - 1n],
    [(1n << 63n) + 5n, 1n << 32n, (1n << 63n) + 6n],
  ] as const) {
    host.store64(VMCLOCK.timeSec, timeSec);
    clock.tsc = BigInt.asUintN(64, cycles);
    assert.equal(readVmclock(guest, 0)?.sec, sec);
  }
});

test('readVmclock() carries a fraction into the seconds, beyond 32 bits of them too', () => {
  const { guest, clock, publish } = page(1_000_000_000n);
  publish((1n << 33n) * SEC - 1n);
  clock.tsc = 5001n;
  const { sec } = readVmclock(guest, 0)!;
  assert.ok(sec === 1n << 33n || sec === (1n << 33n) - 1n);
  clock.tsc = 5002n;
  assert.equal(readVmclock(guest, 0)!.sec, 1n << 33n);
});

test('readVmclock() has no time where the page says so, or counts by something else than the TSC', () => {
  const { guest, host } = page();
  host.store32(VMCLOCK.pad, VMCLOCK_STATUS.UNRELIABLE << 16);
  assert.equal(readVmclock(guest, 0), undefined);
  const other = page();
  other.host.store32(VMCLOCK.version, 1 | (VMCLOCK_COUNTER.ARM_VCNT << 16));
  assert.equal(readVmclock(other.guest, 0), undefined);
});

test('readVmclock() retries while the page is written, and takes what was written', () => {
  const { guest, host, clock, publish } = page(1_000_000_000n);
  clock.tsc = 5000n;
  let rounds = 0;
  host.store32(VMCLOCK.seqCount, 7);
  clock.onRelax = () => {
    rounds++;
    publish(99n * SEC, 'restored');
  };
  const time = readVmclock(guest, 0)!;
  assert.equal(rounds, 1);
  assert.deepEqual([time.sec, time.disruptionMarker, time.vmGenerationCounter], [99n, 1n, 1n]);
});

test('readVmclock() reads TSC and page between two looks at the sequence, a barrier inside of each', () => {
  const cpu = new ScriptedCpu();
  cpu.memory.setUint8(VMCLOCK.counterId, VMCLOCK_COUNTER.X86_TSC);
  assert.equal(readVmclock(cpu, 0)?.sec, 0n);
  const sequence = `load32 0x${VMCLOCK.seqCount.toString(16)}`;
  assert.deepEqual(cpu.log.slice(0, 2), [sequence, 'readBarrier']);
  assert.deepEqual(cpu.log.slice(-2), ['readBarrier', sequence]);
  const between = cpu.log.slice(2, -2).filter((operation) => !operation.startsWith('load'));
  assert.deepEqual(between, ['rdtscOrdered']);
});

test('readVmclock() tells status, leap second and flags, and the error as far as the page knows it', () => {
  const { guest, host, clock } = page(1_000_000_000n);
  assert.equal(readVmclock(guest, 0)!.maxErrorNs, undefined);
  const state = { tsc: 5000n, utcNs: UTC_NS, tscHz: 1_000_000_000n, maxErrorNs: 250n };
  const read = (more: Partial<VmclockState>) => {
    publishVmclock(host, 0, { ...state, ...more }, 'none');
    return readVmclock(guest, 0)!;
  };
  clock.tsc = 5000n + 2_000_000n; // 2 ms
  assert.equal(read({}).maxErrorNs, 250n);
  host.store64(VMCLOCK.counterPeriodMaxerror, 1n << 60n);
  assert.equal(readVmclock(guest, 0)!.maxErrorNs, 250n, 'the flag does not vouch for the period');
  assert.equal(read({ maxErrorPpb: 50_000 }).maxErrorNs, 351n, '100 ns more, rounded up');
  clock.tsc = 4000n;
  assert.equal(read({ maxErrorPpb: 50_000 }).maxErrorNs, 251n, 'behind the page too');
  const { FREERUNNING } = VMCLOCK_STATUS;
  const told = { status: FREERUNNING, leapIndicator: VMCLOCK_LEAP.PRE_POS, flags: VMCLOCK_FLAG.DISRUPTION_SOON };
  const { status, leapIndicator, flags, taiOffsetSec } = read({ ...told, taiOffsetSec: -1 });
  assert.deepEqual([status, leapIndicator, taiOffsetSec], [FREERUNNING, VMCLOCK_LEAP.PRE_POS, -1]);
  const { DISRUPTION_SOON, VM_GEN_COUNTER_PRESENT, TAI_OFFSET_VALID, TIME_MAXERROR_VALID } = VMCLOCK_FLAG;
  assert.equal(flags, DISRUPTION_SOON | VM_GEN_COUNTER_PRESENT | TAI_OFFSET_VALID | TIME_MAXERROR_VALID);
});

test('readVmclock() gives a time while the hypervisor has not said how good it is', () => {
  for (const status of [VMCLOCK_STATUS.UNKNOWN, VMCLOCK_STATUS.INITIALIZING, VMCLOCK_STATUS.FREERUNNING]) {
    const { guest, host } = page();
    publishVmclock(host, 0, { tsc: 5000n, utcNs: UTC_NS, tscHz: 1_000_000_000n, status }, 'none');
    assert.equal(readVmclock(guest, 0)!.status, status);
  }
});

test('utcNs() is TAI less the offset, and nothing where the epoch is not the one of 1970', () => {
  const { guest } = page();
  const time = readVmclock(guest, 0)!;
  const utc = utcNs(time)!;
  assert.equal(utcNs({ ...time, timeType: VMCLOCK_TIME.TAI }), utc - 37n * SEC);
  assert.equal(utcNs({ ...time, timeType: VMCLOCK_TIME.TAI, flags: 0n }), undefined);
  assert.equal(utcNs({ ...time, timeType: VMCLOCK_TIME.MONOTONIC }), undefined);
});

test('readVmclock() reads a TAI offset below zero', () => {
  const { guest, host } = page();
  host.store32(VMCLOCK.taiOffsetSec, 0xffff);
  assert.equal(readVmclock(guest, 0)!.taiOffsetSec, -1);
});
