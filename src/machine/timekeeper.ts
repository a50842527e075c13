/** The kernel's clocks on the live machine: a page of bases in this process, read by the image, kept by kept-clock.ts. */
import { readFileSync } from 'node:fs';
import { CLOCK_BASE_BYTES, CLOCK_MODE, CLOCK_PAGE_BYTES } from '../abi/clock-base.ts';
import { CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME } from '../abi/clock-id.ts';
import type { TimekeeperCpu } from '../guest/cpu.ts';
import { tscHz } from '../scale/time-scale.ts';
import { NSEC_PER_SEC } from '../scale/timespec.ts';
import { SAMPLE, SAMPLE_BYTES } from '../vdso/sample.ts';
import type { Sample } from './discipline.ts';
import { type ClockHost, KeptClock } from './kept-clock.ts';
import { type ClockName, checkClockName, type KernelClocks } from './kernel-clocks.ts';
import type { LiveMachine } from './live.ts';
import { atomicLoads } from './loads.ts';
import { vdsoClockGettime } from './vdso-symbol.ts';

/** Bases first; behind them the word that the image sets where it asked the kernel, and a sample. */
const ASKED_AT = CLOCK_PAGE_BYTES;
const SAMPLE_AT = CLOCK_PAGE_BYTES + CLOCK_BASE_BYTES;
const PAGE_BYTES = 1024;

const UNREADABLE = 2n ** 64n - 1n;
const CLOCKSOURCE = '/sys/devices/system/clocksource/clocksource0/current_clocksource';

const opened = new WeakMap<LiveMachine, KernelClocks>();

/** The clocks of this thread: the same at every call. */
export function kernelClocks(live: LiveMachine): KernelClocks {
  let clocks = opened.get(live);
  if (clocks === undefined) {
    clocks = openKernelClocks(live, () => counting(live));
    opened.set(live, clocks);
  }
  return clocks;
}

/** New ones, in the place of those that this machine's image had. `count`: what they count by. */
export function openKernelClocks(live: LiveMachine, count: ClockHost['counting']): KernelClocks {
  const { sys, image } = live;
  const page = new ArrayBuffer(PAGE_BYTES); // it never moves, and lives as long as the clocks do
  const bases = toCacheLine(sys.ffi.getRawPointer(page));
  const at = (offset: number) => bases.address + BigInt(offset);
  const asked = new Int32Array(page, bases.offset + ASKED_AT, 1);
  image.kvmclock_attach_bases(at(0), at(ASKED_AT), vdsoClockGettime(sys) ?? 0n);
  const host: ClockHost = {
    cpu: pageCpu(page),
    bases: bases.offset,
    counting: count,
    counter: (mode) => readable(image.kvmclock_counter(mode)),
    sample: sampler(live, at(SAMPLE_AT), new BigUint64Array(page, bases.offset + SAMPLE_AT, SAMPLE_BYTES / 8)),
    kernelWasAsked: () => Atomics.exchange(asked, 0, 0) !== 0,
  };
  const kept = {
    realtime: new KeptClock(host, CLOCK_REALTIME, image.kvmclock_realtime),
    monotonic: new KeptClock(host, CLOCK_MONOTONIC, image.kvmclock_monotonic),
    boottime: new KeptClock(host, CLOCK_BOOTTIME, image.kvmclock_boottime),
    monotonicRaw: new KeptClock(host, CLOCK_MONOTONIC_RAW, image.kvmclock_monotonic_raw),
  } satisfies Record<ClockName, KeptClock>;
  const settle = (clock: ClockName, ns: bigint): bigint => {
    asked[0] = 0;
    return kept[clock].settle(ns);
  };
  const { kvmclock_realtime, kvmclock_monotonic, kvmclock_boottime, kvmclock_monotonic_raw } = image;
  // Written out, as the engine calls the image directly only where the callee is one and the same. The word needs no
  // atomic load: no other thread sets it, and no load moves over a call.
  return {
    realtime: () => {
      const ns = kvmclock_realtime();
      return asked[0] === 0 ? ns : settle('realtime', ns);
    },
    monotonic: () => {
      const ns = kvmclock_monotonic();
      return asked[0] === 0 ? ns : settle('monotonic', ns);
    },
    boottime: () => {
      const ns = kvmclock_boottime();
      return asked[0] === 0 ? ns : settle('boottime', ns);
    },
    monotonicRaw: () => {
      const ns = kvmclock_monotonic_raw();
      return asked[0] === 0 ? ns : settle('monotonicRaw', ns);
    },
    errorBoundNs: (clock) => {
      checkClockName(clock);
      return kept[clock].errorBoundNs();
    },
  };
}

/**
 * The counter that the kernel's clocks run with. Its clocksource `tsc` is the bare TSC, which the record's rate describes but
 * the record's rewrites do not touch; every other clock is followed by the record.
 */
function counting(live: LiveMachine): ReturnType<ClockHost['counting']> {
  const { tscToSystemMul, tscShift } = live.record(0);
  const hz = tscHz(tscToSystemMul, tscShift);
  if (hz === undefined || clocksource() !== 'tsc') return { mode: CLOCK_MODE.PVCLOCK, nsPerCycle: 1 };
  return { mode: CLOCK_MODE.TSC, nsPerCycle: 1e9 / hz };
}

function clocksource(): string | undefined {
  try {
    return readFileSync(CLOCKSOURCE, 'utf8').trim();
  } catch {
    return undefined; // not to be seen from here
  }
}

function readable(counter: bigint): bigint | undefined {
  return counter === UNREADABLE ? undefined : counter;
}

/** `words`: what kvmclock_sample is given and leaves, at `address`. */
function sampler({ image }: LiveMachine, address: bigint, words: BigUint64Array): ClockHost['sample'] {
  const word = (offset: number): bigint => words[offset / 8]!;
  return (mode, clock): Sample | undefined => {
    words[SAMPLE.mode / 8] = BigInt(mode);
    words[SAMPLE.clock / 8] = BigInt(clock);
    if (image.kvmclock_sample(address) === 0) return undefined;
    const kernelNs = BigInt.asIntN(64, word(SAMPLE.sec)) * NSEC_PER_SEC + word(SAMPLE.nsec);
    return { before: word(SAMPLE.before), after: word(SAMPLE.after), kernelNs };
  };
}

function toCacheLine(address: bigint): { address: bigint; offset: number } {
  const offset = Number(-address & BigInt(CLOCK_BASE_BYTES - 1));
  return { address: address + BigInt(offset), offset };
}

/** Stores that no other store passes, over a page of this process. */
export function pageCpu(page: ArrayBufferLike): TimekeeperCpu {
  const words = new Uint32Array(page);
  const longs = new BigUint64Array(page);
  const { load32, load64 } = atomicLoads(page);
  const fence = new Int32Array(1);
  return {
    load32,
    load64,
    store32: (address, value) => void Atomics.store(words, address >>> 2, value),
    store64: (address, value) => void Atomics.store(longs, address >>> 3, value),
    writeBarrier: () => {}, // every store is an Atomics.store
    fence: () => void Atomics.exchange(fence, 0, 0), // a locked operation
  };
}
