/** Which CPUs this thread may run on, through libc: a guest's CPUs are its vCPUs. */
import type { Sys } from './sys.ts';

/** Enough for 8192 CPUs, the most that Linux is built for. */
const MASK_BYTES = 1024;

/** The CPUs that the calling thread may run on, in order. */
export function allowedCpus(sys: Sys): number[] {
  const mask = new Uint8Array(MASK_BYTES);
  sys.check('sched_getaffinity', sys.libc.sched_getaffinity(0, BigInt(MASK_BYTES), sys.ffi.getRawPointer(mask)));
  const cpus: number[] = [];
  mask.forEach((byte, index) => {
    for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) cpus.push(index * 8 + bit);
  });
  return cpus;
}

/** Lets the calling thread run on `cpus` alone from here on. Throws SystemCallError where it may run on none of them. */
export function allowCpus(sys: Sys, cpus: readonly number[]): void {
  const mask = new Uint8Array(MASK_BYTES);
  for (const cpu of cpus) mask[cpu >> 3]! |= 1 << (cpu & 7);
  const address = sys.ffi.getRawPointer(mask);
  const result = sys.libc.sched_setaffinity(0, BigInt(MASK_BYTES), address);
  sys.check(`sched_setaffinity to CPU ${cpus.join(', ')}`, result);
}

/** Keeps the calling thread on `cpu` from here on. Throws SystemCallError where it may not run there. */
export function pinTo(sys: Sys, cpu: number): void {
  allowCpus(sys, [cpu]);
}
