/** Loads over a buffer that others write: never torn, never reordered or elided by the compiler, plain moves on x86. */
import type { GuestCpu } from '../guest/cpu.ts';

/** Address 0 is the buffer's first byte. The buffer may be shared, or a view of foreign memory. Little-endian machines only. */
export function atomicLoads(buffer: ArrayBufferLike): Pick<GuestCpu, 'load8' | 'load32' | 'load64'> {
  const bytes = new Uint8Array(buffer);
  const words = new Uint32Array(buffer);
  const longs = new BigUint64Array(buffer);
  return {
    load8: (address) => Atomics.load(bytes, address),
    load32: (address) => Atomics.load(words, address >>> 2),
    load64: (address) => Atomics.load(longs, address >>> 3),
  };
}
