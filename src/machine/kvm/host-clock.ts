/**
 * The clocks of this machine, for a hypervisor of ours that serves real guests. The clock that records follow is a line over
 * the TSC, set once to CLOCK_MONOTONIC_RAW: so every TSC has one time, in every thread, and a sample of both is exact.
 * CLOCK_MONOTONIC_RAW is itself a line over the TSC where the kernel keeps time by it.
 */
import { readFileSync } from 'node:fs';
import { CLOCK_MONOTONIC_RAW, CLOCK_REALTIME } from '../../abi/clock-id.ts';
import type { HostClock, HostSample } from '../../hypervisor/host-clock.ts';
import { type ClockFunctions, loadClock } from '../clock-image.ts';
import type { Sys } from '../sys.ts';

const CLOCKSOURCE = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
const NSEC_PER_SEC = 1_000_000_000n;
const TRIES = 8;

/** The line, for all threads that serve one VM. `stable`: the kernel keeps time by the TSC, so samples may be taken. */
export interface HostLine {
  readonly tscHz: bigint;
  readonly tsc: bigint;
  readonly ns: bigint;
  readonly stable: boolean;
}

let image: ClockFunctions | undefined;

/** Once a thread: a loaded image stays. */
function orderedTsc(sys: Sys): () => bigint {
  image ??= loadClock(sys);
  return image.kvmclock_rdtsc_ordered;
}

/** Draws the line from here and now. `tscHz`: as KVM tells it. */
export function hostLine(sys: Sys, tscHz: bigint): HostLine {
  const { ns, tsc } = bracket(orderedTsc(sys), clockReader(sys, CLOCK_MONOTONIC_RAW));
  return { tscHz, tsc, ns, stable: readFileSync(CLOCKSOURCE, 'utf8').trim() === 'tsc' };
}

/** The clock on that line, for the calling thread. */
export function hostClock(sys: Sys, line: HostLine): HostClock {
  const tsc = orderedTsc(sys);
  const realtimeNs = clockReader(sys, CLOCK_REALTIME);
  const nsAt = (at: bigint): bigint => line.ns + ((at - line.tsc) * NSEC_PER_SEC) / line.tscHz;
  return {
    tscHz: () => line.tscHz,
    tsc: () => tsc(),
    ns: () => nsAt(tsc()),
    realtimeNs,
    sample(): HostSample | undefined {
      if (!line.stable) return undefined;
      const { ns, tsc: at } = bracket(tsc, realtimeNs);
      return { ns: nsAt(at), tsc: at, realtimeNs: ns };
    },
  };
}

function clockReader(sys: Sys, clock: number): () => bigint {
  const timespec = new BigInt64Array(new ArrayBuffer(16));
  const address = sys.ffi.getRawPointer(timespec);
  return () => {
    sys.check('clock_gettime', sys.libc.clock_gettime(clock, address));
    return timespec[0]! * NSEC_PER_SEC + timespec[1]!;
  };
}

/** The clock and the TSC at one instant: the tightest of a few brackets of TSC readings, and its middle. */
export function bracket(tsc: () => bigint, clock: () => bigint): { ns: bigint; tsc: bigint } {
  let best = { ns: 0n, tsc: 0n };
  let tightest: bigint | undefined;
  for (let i = 0; i < TRIES; i++) {
    const before = tsc();
    const ns = clock();
    const width = tsc() - before;
    if (tightest !== undefined && width >= tightest) continue;
    tightest = width;
    best = { ns, tsc: before + width / 2n };
  }
  return best;
}
