/** The image of src/vdso in this process: loaded once a thread, its functions callable. */
import { clockCode, DATA_BYTES } from '../vdso/clock.ts';
import { buildImage } from '../vdso/image.ts';
import type { Sys } from './sys.ts';

/** The image's functions that this project calls, as node:ffi wants them described. */
const CLOCK_FUNCTIONS = {
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
  kvmclock_rdtscp: { return: 'uint64', arguments: [] },
  kvmclock_vcpu: { return: 'uint32', arguments: [] },
  kvmclock_attach_bases: { return: 'void', arguments: ['uint64', 'uint64', 'uint64'] },
  kvmclock_clock_gettime: { return: 'int32', arguments: ['int32', 'uint64'] },
  kvmclock_realtime: { return: 'uint64', arguments: [] },
  kvmclock_realtime_ns: { return: 'double', arguments: [] },
  kvmclock_monotonic: { return: 'uint64', arguments: [] },
  kvmclock_monotonic_ns: { return: 'double', arguments: [] },
  kvmclock_boottime: { return: 'uint64', arguments: [] },
  kvmclock_boottime_ns: { return: 'double', arguments: [] },
  kvmclock_monotonic_raw: { return: 'uint64', arguments: [] },
  kvmclock_monotonic_raw_ns: { return: 'double', arguments: [] },
  kvmclock_counter: { return: 'uint64', arguments: ['uint32'] },
  kvmclock_sample: { return: 'int32', arguments: ['uint64'] },
} as const;

export type ClockFunctions = ReturnType<typeof loadClock>;

/** Loads the image into this thread, with no record attached. */
export function loadClock(sys: Sys) {
  return sys.load(buildImage(clockCode(), 'kvmclock.so', DATA_BYTES).file, CLOCK_FUNCTIONS).functions;
}
