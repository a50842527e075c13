import assert from 'node:assert/strict';
import test from 'node:test';
import { CLOCK_MONOTONIC_RAW } from '../../../src/abi/clock-id.ts';
import { bracket, hostClock, hostLine } from '../../../src/machine/kvm/host-clock.ts';
import { isUnavailable, openSys } from '../../../src/machine/sys.ts';

const sys = openSys();
const skip = isUnavailable(sys) && sys.unavailable;

function clock() {
  if (isUnavailable(sys)) throw new Error(sys.unavailable);
  const timespec = new BigInt64Array(new ArrayBuffer(16));
  const address = sys.ffi.getRawPointer(timespec);
  const rawNs = () => {
    sys.libc.clock_gettime(CLOCK_MONOTONIC_RAW, address);
    return timespec[0]! * 1_000_000_000n + timespec[1]!;
  };
  const line = { ...hostLine(sys, 2_600_000_000n), stable: true };
  return {
    line,
    rawNs,
    host: hostClock(sys, line),
    other: hostClock(sys, line),
    shaky: hostClock(sys, { ...line, stable: false }),
  };
}

test('hostLine() begins at CLOCK_MONOTONIC_RAW', { skip }, () => {
  const { rawNs, line } = clock();
  const apart = rawNs() - line.ns;
  assert.ok(apart >= 0n && apart < 1_000_000_000n, `${apart}`);
});

test("hostClock() has the system's time of day", { skip }, () => {
  const { host } = clock();
  const low = BigInt(Date.now()) * 1_000_000n;
  const ns = host.realtimeNs();
  assert.ok(low <= ns && ns <= BigInt(Date.now() + 1) * 1_000_000n, `${ns}`);
});

test('hostClock() gives one time for one TSC, in every object over the same line', { skip }, () => {
  const { host, line } = clock();
  const { ns, tsc } = host.sample()!;
  assert.equal(ns, line.ns + ((tsc - line.tsc) * 1_000_000_000n) / line.tscHz);
});

test('hostClock() goes on from reading to reading', { skip }, () => {
  const { host, other } = clock();
  let last = host.ns();
  for (let i = 0; i < 1_000; i++) {
    const next = (i % 2 === 0 ? other : host).ns();
    assert.ok(next >= last);
    last = next;
  }
});

test('hostClock() takes a sample between two readings of each clock', { skip }, () => {
  const { host } = clock();
  const [tsc, ns, realtimeNs] = [host.tsc(), host.ns(), host.realtimeNs()];
  const sample = host.sample()!;
  assert.ok(tsc <= sample.tsc && sample.tsc <= host.tsc());
  assert.ok(ns <= sample.ns && sample.ns <= host.ns());
  assert.ok(realtimeNs <= sample.realtimeNs && sample.realtimeNs <= host.realtimeNs());
});

test('hostClock() has no samples where the kernel does not keep time by the TSC', { skip }, () => {
  assert.equal(clock().shaky.sample(), undefined);
});

test('bracket() takes the tightest of its readings, and the TSC in the middle of it', () => {
  const sides = [
    [300n, 100n],
    [30n, 90n],
    [40n, 40n], // so the middle is where the clock was read; neither the first nor the last
  ] as const;
  let [tsc, turn] = [1_000n, 0];
  const side = (behind: 0 | 1) => sides[(turn >> 1) % sides.length]![behind];
  const readTsc = () => {
    tsc += turn % 2 === 0 ? 5_000n : side(1);
    turn++;
    return tsc;
  };
  const clock = () => {
    tsc += side(0);
    return tsc * 7n;
  };
  const { ns, tsc: at } = bracket(readTsc, clock);
  assert.equal(ns, at * 7n);
});
