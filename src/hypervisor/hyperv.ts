/**
 * The publisher of Hyper-V's reference TSC page: sequence 0 (not valid), body, next sequence. Made from vCPU 0's record, so
 * it changes whenever that does; where the VM is not stable the page stays invalid and guests read the MSR instead.
 */
import { HV_REFERENCE_TSC_INVALID, HYPERV_TSC_PAGE, HYPERV_UNIT_NS } from '../abi/hyperv.ts';
import { PVCLOCK_TSC_STABLE_BIT } from '../abi/pvti.ts';
import type { HostCpu } from './cpu.ts';
import type { PvtiBody } from './publish.ts';
import { VM_WORDS, vmWord } from './words.ts';

const UNIT_NS = BigInt(HYPERV_UNIT_NS);
const SEQUENCE = vmWord(VM_WORDS.hypervSequence);

/** The page's line: `scale` in 100 ns a cycle, 0.64 fixed point; `offset` in 100 ns, mod 2^64. */
export interface HypervLine {
  readonly scale: bigint;
  readonly offset: bigint;
}

/** A record's line in the page's form; undefined where the record is not stable, or a cycle is 100 ns or longer. */
export function hypervLine(body: PvtiBody): HypervLine | undefined {
  if ((body.flags & PVCLOCK_TSC_STABLE_BIT) === 0) return undefined;
  const mul = BigInt(body.tscToSystemMul);
  if (mul >= UNIT_NS << BigInt(32 - body.tscShift)) return undefined; // scale would not fit
  const scale = ((1n << BigInt(32 + body.tscShift)) * mul) / UNIT_NS;
  const offset = BigInt.asUintN(64, body.systemTime / UNIT_NS - ((body.tscTimestamp * scale) >> 64n));
  return { scale, offset };
}

/**
 * Writes the page. Every valid sequence differs from the one before, although 0 came between: the hypervisor counts in a
 * word of its own, never from the page, which is the guest's.
 */
export function publishHypervPage(cpu: HostCpu, page: number, body: PvtiBody): void {
  const line = hypervLine(body);
  cpu.store32(page + HYPERV_TSC_PAGE.sequence, HV_REFERENCE_TSC_INVALID);
  if (line === undefined) return;
  const sequence = nextSequence(cpu.load32(SEQUENCE));
  cpu.store32(SEQUENCE, sequence);
  cpu.writeBarrier(); // invalid sequence before body
  cpu.store64(page + HYPERV_TSC_PAGE.scale, line.scale);
  cpu.store64(page + HYPERV_TSC_PAGE.offset, line.offset);
  cpu.writeBarrier(); // body before valid sequence
  cpu.store32(page + HYPERV_TSC_PAGE.sequence, sequence);
}

/** The next one that is neither 0 nor the -1 of the old texts. */
export function nextSequence(sequence: number): number {
  return sequence >= 0xfffffffe ? 1 : sequence + 1;
}
