/**
 * Hyper-V's reference TSC page: one page for all vCPUs, so no vCPU number and no stable bit; a sequence of 0 says that the
 * page cannot be used. It changes with every update, and is 0, never odd, while the hypervisor writes.
 *
 * Assumes: the TSCs of all vCPUs agree while the sequence is not 0. A sequence that comes round to the same value within
 * one read is not noticed.
 * Pays: an ordered TSC read and a 64 by 64 bit product.
 * Gets wrong: nothing below its resolution of 100 ns.
 */
import { HV_REFERENCE_TSC_INVALID, HYPERV_TSC_PAGE } from '../abi/hyperv.ts';
import type { GuestCpu } from './cpu.ts';

/** u64, in 100 ns, since the VM's time was zero; undefined where the page is not valid: read the MSR. */
export function readHypervPage(cpu: GuestCpu, page: number): bigint | undefined {
  for (;;) {
    const sequence = cpu.load32(page + HYPERV_TSC_PAGE.sequence);
    if (sequence === HV_REFERENCE_TSC_INVALID) return undefined;
    cpu.readBarrier(); // sequence before scale and offset
    const scale = cpu.load64(page + HYPERV_TSC_PAGE.scale);
    const offset = cpu.load64(page + HYPERV_TSC_PAGE.offset);
    const tsc = cpu.rdtscOrdered();
    cpu.readBarrier(); // scale, offset and TSC before sequence
    if (cpu.load32(page + HYPERV_TSC_PAGE.sequence) === sequence) return hypervTime(tsc, scale, offset);
    cpu.relax();
  }
}

/** The page's line at `tsc`, in 100 ns, mod 2^64. `scale`: u64, 0.64 fixed point; `offset`: mod 2^64. */
export function hypervTime(tsc: bigint, scale: bigint, offset: bigint): bigint {
  return BigInt.asUintN(64, ((tsc * scale) >> 64n) + offset);
}
