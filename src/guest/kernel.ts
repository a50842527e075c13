/**
 * The guest kernel's own read: the record of the vCPU it runs on (preemption is off), with the clamp where the clock is
 * not stable, and the word to the watchdogs where the hypervisor held the vCPU back.
 *
 * Assumes: it is not moved to another vCPU; the hypervisor writes this record only while this vCPU is out of the guest.
 */
import { PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT, PVTI } from '../abi/pvti.ts';
import type { GuestCpu, GuestKernelCpu } from './cpu.ts';
import { clampToLast } from './last-value.ts';
import { readBegin, readCycles, readRetry } from './sequence.ts';

export interface KernelClock {
  /** Flags that the hypervisor's CPUID vouches for: PVCLOCK_TSC_STABLE_BIT with feature bit 24, else 0. */
  readonly validFlags: number;
  /** Address of the clamp's u64. */
  readonly last: number;
  /** Called once when this vCPU was found to have been stopped: touch the soft-lockup, RCU and hung-task watchdogs. */
  onStopped?(): void;
}

/** u64 nanoseconds by the record at `pvti`, which must be that of the vCPU this runs on. */
export function kernelRead(cpu: GuestKernelCpu, pvti: number, clock: KernelClock): bigint {
  const { ns, flags } = readOwn(cpu, pvti);
  if ((flags & PVCLOCK_GUEST_STOPPED) !== 0 && clearGuestStopped(cpu, pvti)) clock.onStopped?.();
  if ((flags & clock.validFlags & PVCLOCK_TSC_STABLE_BIT) !== 0) return ns;
  return clampToLast(cpu, clock.last, ns);
}

function readOwn(cpu: GuestCpu, pvti: number): { ns: bigint; flags: number } {
  for (;;) {
    const version = readBegin(cpu, pvti);
    const ns = readCycles(cpu, pvti);
    const flags = cpu.load8(pvti + PVTI.flags);
    if (!readRetry(cpu, pvti, version)) return { ns, flags };
    cpu.relax();
  }
}

/** Takes the hypervisor's note that this vCPU was stopped; true for the one caller that took it. */
export function clearGuestStopped(cpu: GuestKernelCpu, pvti: number): boolean {
  return (cpu.fetchAnd8(pvti + PVTI.flags, ~PVCLOCK_GUEST_STOPPED & 0xff) & PVCLOCK_GUEST_STOPPED) !== 0;
}
