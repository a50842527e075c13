/**
 * The writer's half of the sequence count: how each hypervisor puts a record where guests can see it.
 *
 * Guests may read any vCPU's record at any time, also while it is being written: only an odd version, seen before the
 * first changed word and until after the last, tells them so. The version comes out of guest memory, so it may be odd,
 * garbage or about to wrap: every writer must do with what it finds.
 */
import { PVCLOCK_GUEST_STOPPED, PVTI, type Pvti } from '../abi/pvti.ts';
import type { HostCpu } from './cpu.ts';

/** A record without its version, which belongs to the protocol. */
export type PvtiBody = Omit<Pvti, 'version'>;

/**
 * KVM since v4.1: odd, body, even, counted from the version in guest memory. A GUEST_STOPPED that the guest has not
 * yet taken survives. Returns the version it left.
 */
export function publishToday(cpu: HostCpu, pvti: number, body: PvtiBody): number {
  const odd = ((cpu.load32(pvti + PVTI.version) + 1) | 1) >>> 0; // the |1 mends an odd or garbage version
  cpu.store32(pvti + PVTI.version, odd);
  cpu.writeBarrier(); // odd version before body
  const flags = body.flags | (flagsOf(cpu, pvti) & PVCLOCK_GUEST_STOPPED);
  storeBody(cpu, pvti, { ...body, flags });
  cpu.writeBarrier(); // body before even version
  const even = (odd + 1) >>> 0;
  cpu.store32(pvti + PVTI.version, even);
  return even;
}

/** The body word by word, in the order of their addresses. */
export function storeBody(cpu: HostCpu, pvti: number, body: PvtiBody): void {
  cpu.store32(pvti + PVTI.pad0, 0);
  cpu.store64(pvti + PVTI.tscTimestamp, body.tscTimestamp);
  cpu.store64(pvti + PVTI.systemTime, body.systemTime);
  cpu.store32(pvti + PVTI.tscToSystemMul, body.tscToSystemMul);
  cpu.store32(pvti + PVTI.tscShift, ((body.tscShift & 0xff) | (body.flags << 8)) >>> 0); // shift, flags and padding: one word
}

function flagsOf(cpu: HostCpu, pvti: number): number {
  return (cpu.load32(pvti + PVTI.tscShift) >>> 8) & 0xff;
}
