/** The measuring loops of the second image, in this thread: what one call costs, and whether the readings are in order. */
import { tscHz } from '../scale/time-scale.ts';
import { buildImage } from '../vdso/image.ts';
import {
  BRACKET_LOOP,
  BRACKET_LOOP_BYTES,
  MEASURE_DATA_BYTES,
  measureCode,
  TIME_LOOP,
  TIME_LOOP_BYTES,
  WARP_LOOP,
  WARP_LOOP_BYTES,
} from '../vdso/measure.ts';
import type { LiveMachine } from './live.ts';
import { vdsoClockGettime } from './vdso-symbol.ts';

const MEASURE_FUNCTIONS = {
  kvmclock_time_loop: { return: 'void', arguments: ['uint64'] },
  kvmclock_warp_loop: { return: 'void', arguments: ['uint64'] },
  kvmclock_bracket_loop: { return: 'void', arguments: ['uint64'] },
  kvmclock_vdso_clock_gettime: { return: 'uint64', arguments: ['uint64'] },
  kvmclock_syscall_clock_gettime: { return: 'uint64', arguments: [] },
} as const;

/** A function in machine code and what it is called with. */
export interface Callee {
  readonly address: bigint;
  readonly first?: bigint;
  readonly second?: bigint;
  /** What the addresses above point into, where that is an object here: it lives as long as this does. */
  readonly memory?: ArrayBufferView;
}

/** Readings by several vCPUs at once. A warp: a reading behind one that was already seen. A stall: one equal to it. */
export interface WarpCount {
  readonly reads: number;
  readonly warps: number;
  readonly worstNs: number;
  readonly stalls: number;
}

export interface Meter {
  /** What one of `count` calls takes, in ns. */
  timeNs(callee: Callee, count: number): number;
  /** Reads `count` times against the u64 at `shared`, where all vCPUs leave the latest time they were given. */
  warps(callee: Callee, count: number, shared: bigint): WarpCount;
  /** How many of `count` readings by `callee` lie outside two readings by `by` around them, and by how much at worst. */
  outsideBracket(callee: Callee, by: bigint, count: number): { outside: number; worstNs: number };
  /** clock_gettime(CLOCK_MONOTONIC) as the kernel's vDSO has it, and as a system call. */
  readonly vdsoClockGettime: Callee;
  readonly syscallClockGettime: Callee;
}

const meters = new WeakMap<LiveMachine, Meter>();

/** The meter of `live`; the same at every call, as its image stays mapped for as long as the thread runs. */
export function openMeter(live: LiveMachine): Meter {
  const meter = meters.get(live) ?? newMeter(live);
  meters.set(live, meter);
  return meter;
}

function newMeter(live: LiveMachine): Meter {
  const { sys } = live;
  const { ffi } = sys;
  const image = sys.load(buildImage(measureCode(), 'kvmclock-measure.so', MEASURE_DATA_BYTES).file, MEASURE_FUNCTIONS);
  const loops = image.functions;
  const { tscToSystemMul, tscShift } = live.record(0);
  const nsPerCycle = 1e9 / tscHz(tscToSystemMul, tscShift)!;

  /** Runs a loop on a block of its words and hands the words back. */
  const run = (
    loop: (block: bigint) => void,
    bytes: number,
    callee: Callee,
    count: number,
    more: [number, bigint][],
  ) => {
    const block = new BigUint64Array(bytes / 8);
    const at = (offset: number) => offset / 8;
    block[at(TIME_LOOP.callee)] = callee.address;
    block[at(TIME_LOOP.first)] = callee.first ?? 0n;
    block[at(TIME_LOOP.second)] = callee.second ?? 0n;
    block[at(TIME_LOOP.count)] = BigInt(count);
    for (const [offset, value] of more) block[at(offset)] = value;
    loop(ffi.getRawPointer(block));
    return (offset: number): number => Number(block[at(offset)]);
  };
  const libcClockGettime = (): bigint => ffi.dlopen(null, {}).lib.getSymbol('clock_gettime');
  // A C library whose loader does not name the vDSO: its own wrapper is a jump away.
  const vdsoAddress = (): bigint => vdsoClockGettime(sys) ?? libcClockGettime();
  return {
    timeNs: (callee, count) =>
      (run(loops.kvmclock_time_loop, TIME_LOOP_BYTES, callee, count, [])(TIME_LOOP.cycles) * nsPerCycle) / count,
    warps: (callee, count, shared) => {
      const word = run(loops.kvmclock_warp_loop, WARP_LOOP_BYTES, callee, count, [[WARP_LOOP.shared, shared]]);
      return {
        reads: word(WARP_LOOP.reads),
        warps: word(WARP_LOOP.warps),
        worstNs: word(WARP_LOOP.worstNs),
        stalls: word(WARP_LOOP.stalls),
      };
    },
    outsideBracket: (callee, by, count) => {
      const word = run(loops.kvmclock_bracket_loop, BRACKET_LOOP_BYTES, callee, count, [[BRACKET_LOOP.bracket, by]]);
      return { outside: word(BRACKET_LOOP.outside), worstNs: word(BRACKET_LOOP.worstNs) };
    },
    vdsoClockGettime: { address: loops.kvmclock_vdso_clock_gettime.pointer, first: vdsoAddress() },
    syscallClockGettime: { address: loops.kvmclock_syscall_clock_gettime.pointer },
  };
}
