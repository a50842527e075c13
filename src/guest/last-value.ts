/**
 * The clamp that keeps a clock from going back where the vCPUs' records are not stable: one global word holds the
 * latest time that anybody was given.
 *
 * Assumes: nothing of the records. Pays: a contended cache line on every read: the reason the stable bit exists.
 * Gets wrong: a glitch forward on one vCPU stops the clock for all others until they have caught up.
 */
import type { GuestKernelCpu } from './cpu.ts';

/** `ns`, or the latest time given so far where that is later. `last`: address of the u64, 0 at boot and after a resume. */
export function clampToLast(cpu: GuestKernelCpu, last: number, ns: bigint): bigint {
  for (;;) {
    const latest = cpu.load64(last);
    if (ns <= latest) return latest;
    if (cpu.compareExchange64(last, latest, ns) === latest) return ns; // correctness rests on this exchange alone
    cpu.relax();
  }
}
