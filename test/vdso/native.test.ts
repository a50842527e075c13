import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CLOCK_MONOTONIC_RAW } from '../../src/abi/clock-id.ts';
import { encodePvti, PVTI_PER_PAGE, PVTI_SIZE, type Pvti } from '../../src/abi/pvti.ts';
import { lineAt } from '../../src/guest/sequence.ts';
import { isUnavailable, openSys, type Sys } from '../../src/machine/sys.ts';
import { LINE_BYTES } from '../../src/vdso/cached.ts';
import { codeOf } from './emulator.ts';
import { IMAGE, UNSTABLE } from './hold.ts';
import { mul, shift, u64 } from './scripts.ts';

const FUNCTIONS = {
  kvmclock_attach: { return: 'int32', arguments: ['uint64'] },
  kvmclock_anchor: { return: 'int32', arguments: [] },
  kvmclock_now: { return: 'uint64', arguments: [] },
  kvmclock_now_ns: { return: 'double', arguments: [] },
  kvmclock_now_relaxed: { return: 'uint64', arguments: [] },
  kvmclock_now_relaxed_ns: { return: 'double', arguments: [] },
  kvmclock_read_before: { return: 'uint64', arguments: ['uint64'] },
  kvmclock_read_rfc: { return: 'uint64', arguments: ['uint64'] },
  kvmclock_read_landed: { return: 'uint64', arguments: ['uint64'] },
  kvmclock_read_cached: { return: 'uint64', arguments: ['uint64', 'uint64'] },
  kvmclock_read_relaxed: { return: 'uint64', arguments: ['uint64'] },
  kvmclock_at: { return: 'uint64', arguments: ['uint64', 'uint64'] },
  kvmclock_rdtsc: { return: 'uint64', arguments: [] },
  kvmclock_rdtsc_lfence: { return: 'uint64', arguments: [] },
  kvmclock_rdtsc_ordered: { return: 'uint64', arguments: [] },
  kvmclock_vcpu: { return: 'uint32', arguments: [] },
} as const;

const opened = openSys();
const sys = opened as Sys;
const skip = isUnavailable(opened) && opened.unavailable;

const loadImage = (file = IMAGE.file) => sys.load(file, FUNCTIONS).functions;
type Functions = ReturnType<typeof loadImage>;

/** A page of records in this process, the same one for every vCPU. */
class Records {
  readonly #page = new DataView(new ArrayBuffer(PVTI_PER_PAGE * PVTI_SIZE));
  readonly address = sys.ffi.getRawPointer(this.#page);

  set(record: Pvti): void {
    for (let vcpu = 0; vcpu < PVTI_PER_PAGE; vcpu++) encodePvti(record, this.#page, vcpu * PVTI_SIZE);
  }
}

const STABLE = { version: 2, flags: 1 };
/** Half a nanosecond a cycle, from where the TSC is: not this machine's rate, and it need not be. */
const running = (tsc: bigint): Pvti => ({
  ...STABLE,
  tscTimestamp: tsc,
  systemTime: 5_000_000_000n,
  tscToSystemMul: 0x8000_0000,
  tscShift: 0,
});
const standing = (ns: bigint): Pvti => ({ ...running(0n), systemTime: ns, tscToSystemMul: 0 });

const timespec = new BigInt64Array(2);
function rawNs(): bigint {
  sys.check('clock_gettime', sys.libc.clock_gettime(CLOCK_MONOTONIC_RAW, sys.ffi.getRawPointer(timespec)));
  return timespec[0]! * 1_000_000_000n + timespec[1]!;
}

function holdAt(image: Functions): void {
  const records = new Records();
  const line = fc.record({ tscTimestamp: u64, systemTime: u64, tscToSystemMul: mul, tscShift: shift });
  fc.assert(
    fc.property(line, u64, (body, tsc) => {
      records.set({ ...STABLE, ...body });
      const { tscTimestamp, systemTime, tscToSystemMul, tscShift } = body;
      assert.equal(
        image.kvmclock_at(records.address, tsc),
        lineAt(tsc, tscTimestamp, systemTime, tscToSystemMul, tscShift),
      );
    }),
    { numRuns: 2000 },
  );
}

/** IMAGE with MOVSX turned into MOVZX: a shift that lost its sign. */
function withoutSign(): Uint8Array {
  const file = IMAGE.file.slice();
  const code = codeOf(IMAGE);
  for (let at = 0; at < code.length - 1; at++) {
    if (code[at] === 0x0f && code[at + 1] === 0xbe) file[IMAGE.codeAt + at + 1] = 0xb6;
  }
  return file;
}

type Read = (records: bigint) => bigint;

/** The readers by name, each as a function of the records' address; `cached` with a line of its own. */
function readersOf(image: Functions): Record<string, Read> {
  const line = new BigUint64Array(LINE_BYTES / 8).fill(UNSTABLE);
  return {
    kvmclock_read_before: image.kvmclock_read_before,
    kvmclock_read_rfc: image.kvmclock_read_rfc,
    kvmclock_read_landed: image.kvmclock_read_landed,
    kvmclock_read_cached: (records) => image.kvmclock_read_cached(records, sys.ffi.getRawPointer(line)),
    kvmclock_read_relaxed: image.kvmclock_read_relaxed,
  };
}

/**
 * Anchors on a running record, takes the stable bit away and holds now() to what it must be: the record's time at the
 * anchor and what the kernel's clock advanced since, each bracketed by two readings of the same clock.
 */
function holdFallback(image: Functions, records: Records, anchor: () => void): void {
  const record = running(image.kvmclock_rdtsc_ordered());
  records.set(record);
  const earliestRaw = rawNs();
  const earliest = image.kvmclock_read_landed(records.address);
  anchor();
  const latest = image.kvmclock_read_landed(records.address);
  const latestRaw = rawNs();
  records.set({ ...record, version: 4, flags: 0 });
  for (const now of [image.kvmclock_now, image.kvmclock_now_relaxed]) {
    const before = rawNs();
    const ns = now();
    const after = rawNs();
    assert.ok(ns >= earliest + (before - latestRaw), `now() fell back by ${earliest + before - latestRaw - ns} ns`);
    assert.ok(ns <= latest + (after - earliestRaw), `now() jumped by ${ns - latest - after + earliestRaw} ns`);
  }
}

describe('the image in this process', { skip }, () => {
  test('kvmclock_at() equals the definition for every record and TSC', () => holdAt(loadImage()));

  test('the comparison of kvmclock_at() catches an image that takes the shift for unsigned', () => {
    assert.throws(() => holdAt(loadImage(withoutSign())));
  });

  test('every reader answers between the times of two ordered TSC reads around it', () => {
    const image = loadImage();
    image.kvmclock_attach(0n); // it looks for RDTSCP
    const records = new Records();
    records.set(running(image.kvmclock_rdtsc_ordered()));
    for (const [name, read] of Object.entries(readersOf(image))) {
      for (let round = 0; round < 1000; round++) {
        const before = image.kvmclock_at(records.address, image.kvmclock_rdtsc_ordered());
        const ns = read(records.address);
        const after = image.kvmclock_at(records.address, image.kvmclock_rdtsc_ordered());
        assert.ok(before <= ns && ns <= after, `${name}: ${before} <= ${ns} <= ${after}`);
      }
    }
  });

  test('every reader answers 2^64-1 where the record is not stable', () => {
    const image = loadImage();
    const records = new Records();
    const readers = Object.entries(readersOf(image));
    for (const flags of [0, 2, 0xfe]) {
      records.set({ ...standing(7n), version: 2, flags: 1 });
      for (const [name, read] of readers) assert.equal(read(records.address), 7n, name);
      records.set({ ...standing(7n), version: 4, flags });
      for (const [name, read] of readers) assert.equal(read(records.address), UNSTABLE, `${name}, flags ${flags}`);
    }
  });

  test('kvmclock_now() is the kernel clock where nothing is attached', () => {
    const image = loadImage();
    assert.equal(image.kvmclock_anchor(), 0);
    const before = rawNs();
    const ns = image.kvmclock_now();
    const after = rawNs();
    assert.ok(before <= ns && ns <= after, `${before} <= ${ns} <= ${after}`);
  });

  test('kvmclock_now() goes on from where it was when the record loses its stable bit', () => {
    const [image, records] = [loadImage(), new Records()];
    holdFallback(image, records, () => assert.equal(image.kvmclock_attach(records.address), 1));
    holdFallback(image, records, () => assert.equal(image.kvmclock_anchor(), 1));
  });

  test('the bracket catches a clock that was never anchored', () => {
    const [image, records] = [loadImage(), new Records()];
    records.set({ ...running(0n), flags: 0 });
    assert.equal(image.kvmclock_attach(records.address), 0);
    assert.throws(() => holdFallback(image, records, () => {}), /now\(\) (fell back|jumped)/);
  });

  test('kvmclock_now() and its double forms give the same nanoseconds, rounded to nearest, from 0 to 2^64-1', () => {
    const [image, records] = [loadImage(), new Records()];
    records.set(standing(0n));
    assert.equal(image.kvmclock_attach(records.address), 1);
    fc.assert(
      fc.property(u64, (ns) => {
        records.set(standing(ns));
        assert.equal(image.kvmclock_now(), ns);
        assert.equal(image.kvmclock_now_relaxed(), ns);
        assert.equal(image.kvmclock_now_ns(), Number(ns));
        assert.equal(image.kvmclock_now_relaxed_ns(), Number(ns));
      }),
      { numRuns: 2000 },
    );
  });

  test('kvmclock_vcpu() is the CPU that the kernel names', () => {
    const image = loadImage();
    for (let round = 0; round < 100; round++) {
      const before = sys.libc.sched_getcpu();
      const vcpu = image.kvmclock_vcpu();
      if (sys.libc.sched_getcpu() === before) assert.equal(vcpu, before);
    }
  });

  test('each load of the image has words of its own', () => {
    const [one, other, records] = [loadImage(), loadImage(), new Records()];
    records.set(standing(42n));
    one.kvmclock_attach(records.address);
    assert.equal(one.kvmclock_now(), 42n);
    assert.notEqual(other.kvmclock_now(), 42n);
  });
});
