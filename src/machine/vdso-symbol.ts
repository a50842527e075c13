/** The kernel's vDSO, by the name that the dynamic loader gives it. */
import type { Sys } from './sys.ts';

/** Address of the vDSO's clock_gettime, which answers 0 or -errno; undefined where the loader does not name the vDSO. */
export function vdsoClockGettime(sys: Sys): bigint | undefined {
  try {
    return sys.ffi.dlopen('linux-vdso.so.1', {}).lib.getSymbol('__vdso_clock_gettime');
  } catch {
    return undefined;
  }
}
