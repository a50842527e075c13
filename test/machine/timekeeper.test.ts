import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { describe, test } from 'node:test';
import { CLOCK_MODE } from '../../src/abi/clock-base.ts';
import { EINVAL } from '../../src/abi/clock-id.ts';
import { loadClock } from '../../src/machine/clock-image.ts';
import { POLICY } from '../../src/machine/discipline.ts';
import type { ClockName, KernelClocks } from '../../src/machine/kernel-clocks.ts';
import { attach, type LiveMachine } from '../../src/machine/live.ts';
import { isUnavailable, type Sys } from '../../src/machine/sys.ts';
import { kernelClocks, openKernelClocks } from '../../src/machine/timekeeper.ts';
import { liveHere } from './live-here.ts';

const SECOND = 1_000_000_000n;
const IDS: Readonly<Record<ClockName, number>> = { realtime: 0, monotonic: 1, monotonicRaw: 4, boottime: 7 };
const NAMES = Object.keys(IDS) as ClockName[];

type Gettime = (clock: number) => bigint | number;

/** clock_gettime by an image: ns, or the errno with its sign turned. */
function gettimeBy(sys: Sys, image: Pick<LiveMachine['image'], 'kvmclock_clock_gettime'>): Gettime {
  const time = new BigInt64Array(2);
  const address = sys.ffi.getRawPointer(time);
  return (clock) => image.kvmclock_clock_gettime(clock, address) || time[0]! * SECOND + time[1]!;
}

/** An image that has no bases makes system calls. */
const systemCalls = (sys: Sys): Gettime => gettimeBy(sys, loadClock(sys));

/** What is wrong with a clock_gettime: system call - bound <= its answer <= system call + bound, errors alike. */
function faultsOf(ours: Gettime, system: Gettime, bound: (clock: number) => number): string[] {
  const found: string[] = [];
  for (const clock of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 16, -1, 2 ** 31 - 1, -(2 ** 31)]) {
    for (let i = 0; i < 300; i++) {
      const before = system(clock);
      const ns = ours(clock);
      const after = system(clock);
      const most = BigInt(Math.ceil(bound(clock)));
      const right =
        typeof before === 'bigint' && typeof ns === 'bigint' && typeof after === 'bigint'
          ? ns >= before - most && ns <= after + most
          : ns === before && ns === after;
      if (!right) found.push(`clock ${clock}: ${before} - ${most}, ${ns}, ${after} + ${most}`);
    }
  }
  return found;
}

describe("the image's clock_gettime on the live machine", () => {
  test('answers what the system call does for every clock, give or take the bound, and EINVAL for those that there are not', (t) => {
    const live = liveHere(t);
    if (live === undefined) return;
    const clocks = kernelClocks(live);
    const name = (clock: number) => NAMES.find((one) => IDS[one] === clock);
    const bound = (clock: number) => {
      const known = name(clock);
      return known === undefined ? 0 : clocks.errorBoundNs(known);
    };
    const ours = gettimeBy(live.sys, live.image);
    const kept: Gettime = (clock) => {
      const known = name(clock);
      if (known !== undefined) clocks[known](); // keeps the base young
      return ours(clock);
    };
    assert.deepEqual(faultsOf(kept, systemCalls(live.sys), bound), []);
    for (const clock of [-1, -(2 ** 31), 2 ** 31 - 1]) assert.equal(ours(clock), -EINVAL);
  });

  test('that check catches a clock that is a microsecond off, and an errno that is not passed on', (t) => {
    const live = liveHere(t);
    if (live === undefined) return;
    const system = systemCalls(live.sys);
    const late: Gettime = (clock) => {
      const ns = system(clock);
      return typeof ns === 'bigint' ? ns + 1_000_000n : ns;
    };
    const noError: Gettime = (clock) => (clock < 0 ? 0 : system(clock));
    for (const broken of [late, noError]) assert.ok(faultsOf(broken, system, () => 0).length > 0);
    assert.deepEqual(
      faultsOf(system, system, () => 0),
      [],
    );
  });
});

/** Readings beyond their bound, or behind the one before, over `readings` of each clock. `meanwhile` is called in between. */
function faultsOfClocks(clocks: KernelClocks, system: Gettime, readings: number, meanwhile: () => void): string[] {
  const found: string[] = [];
  for (const name of NAMES) {
    let last = 0n;
    for (let i = 0; i < readings; i++) {
      meanwhile();
      const before = system(IDS[name]) as bigint;
      const ns = clocks[name]();
      const after = system(IDS[name]) as bigint;
      const most = BigInt(Math.ceil(clocks.errorBoundNs(name)));
      if (ns < before - most || ns > after + most)
        found.push(`${name}: ${before} - ${most}, ${ns}, ${after} + ${most}`);
      if (ns < last) found.push(`${name}: ${ns} after ${last}`);
      last = ns;
    }
  }
  return found;
}

/** Keeps the thread, and with it the event loop. */
function busy(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe('kernelClocks()', () => {
  test('every reading is within its bound and none steps back, read often or now and then, the event loop blocked', (t) => {
    const live = liveHere(t);
    if (live === undefined) return;
    const clocks = kernelClocks(live);
    const system = systemCalls(live.sys);
    assert.deepEqual(
      faultsOfClocks(clocks, system, 20_000, () => {}),
      [],
    );
    for (const ms of [0.3, 0.7, 5]) {
      assert.deepEqual(
        faultsOfClocks(clocks, system, 40, () => busy(ms)),
        [],
        `${ms} ms apart`,
      );
    }
    assert.equal(kernelClocks(live), clocks);
  });

  test('takes samples of the kernel for each base, and not for each reading', (t) => {
    const live = liveHere(t);
    if (live === undefined) return;
    const own = attach(live.sys, live.address, 'an image of its own');
    assert.ok(!isUnavailable(own));
    const { kvmclock_sample: sample } = own.image;
    let samples = 0;
    const counting = (address: bigint | number) => {
      samples++;
      return sample(address as bigint);
    };
    const image = { ...own.image, kvmclock_sample: Object.assign(counting, { pointer: sample.pointer }) };
    const clocks = kernelClocks({ ...own, image });
    for (const name of NAMES) {
      samples = 0;
      const start = process.hrtime.bigint();
      for (let i = 0; i < 50_000; i++) clocks[name]();
      const bases = Number(process.hrtime.bigint() - start) / POLICY.validNs + 2;
      assert.ok(samples > 0 && samples <= 24 * bases, `${name}: ${samples} samples for ${bases} bases`);
    }
  });

  test("counts by the TSC where that is the kernel's clocksource, and else by the record", (t) => {
    const live = liveHere(t);
    if (live === undefined) return;
    t.after(() => {
      t.mock.restoreAll();
      syncBuiltinESMExports();
    });
    for (const [clocksource, counter] of [
      ['tsc', CLOCK_MODE.TSC],
      ['kvm-clock', CLOCK_MODE.PVCLOCK],
      [undefined, CLOCK_MODE.PVCLOCK],
    ] as const) {
      t.mock.method(fs, 'readFileSync', () => {
        if (clocksource === undefined) throw new Error('ENOENT');
        return `${clocksource}\n`;
      });
      syncBuiltinESMExports();
      const own = attach(live.sys, live.address, 'an image of its own');
      assert.ok(!isUnavailable(own));
      const { kvmclock_counter: count } = own.image;
      const modes = new Set<number>();
      const noting = (mode: number) => {
        modes.add(mode);
        return count(mode);
      };
      const image = { ...own.image, kvmclock_counter: Object.assign(noting, { pointer: count.pointer }) };
      const { monotonic } = kernelClocks({ ...own, image });
      for (let i = 0; i < 100; i++) monotonic();
      assert.deepEqual([...modes], [counter], `${clocksource}`);
    }
  });

  test('the same by the record, as where kvm-clock is the clocksource, and with no bases where that cannot be read', (t) => {
    const live = liveHere(t);
    if (live === undefined) return;
    const own = attach(live.sys, live.address, 'an image of its own');
    assert.ok(!isUnavailable(own));
    const clocks = openKernelClocks(own, () => ({ mode: CLOCK_MODE.PVCLOCK, nsPerCycle: 1 }));
    // The kernel here may run by the bare TSC: then the record may be rewritten under it, which is no fault of ours.
    const version = live.record(0).version;
    const faults = faultsOfClocks(clocks, systemCalls(live.sys), 20_000, () => {});
    if (live.record(0).version === version) assert.deepEqual(faults, []);
    own.image.kvmclock_attach(0n);
    assert.deepEqual(
      faultsOfClocks(clocks, systemCalls(live.sys), 5000, () => {}),
      [],
    );
  });
});
