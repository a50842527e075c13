/**
 * The wall clock's writers: the UTC instant at which the VM's clock was zero, put where the guest asked for it.
 * It has its own version, with the same meaning as a record's. The seconds are a u32 (dates to 2106); where the platform
 * keeps their high word elsewhere (Xen's shared_info), its address is `secHi` and it is written inside the same odd phase.
 */
import { WALL_CLOCK } from '../abi/wall-clock.ts';
import { NSEC_PER_SEC } from '../scale/timespec.ts';
import type { HostCpu } from './cpu.ts';

/**
 * KVM's and Xen's writer. The version found may be odd (a writer that died, garbage): it is rounded up past it.
 * `epochNs`: ns since 1970, 0 or more; without `secHi` its seconds are cut to 32 bits. Returns the version it left.
 */
export function publishWallClock(cpu: HostCpu, wall: number, epochNs: bigint, secHi?: number): number {
  const odd = ((cpu.load32(wall + WALL_CLOCK.version) + 1) | 1) >>> 0;
  cpu.store32(wall + WALL_CLOCK.version, odd);
  cpu.writeBarrier(); // odd version before body
  storeEpoch(cpu, wall, epochNs, secHi);
  cpu.writeBarrier(); // body before even version
  const even = (odd + 1) >>> 0;
  cpu.store32(wall + WALL_CLOCK.version, even);
  return even;
}

function storeEpoch(cpu: HostCpu, wall: number, epochNs: bigint, secHi: number | undefined): void {
  const sec = epochNs / NSEC_PER_SEC;
  cpu.store32(wall + WALL_CLOCK.sec, Number(sec & 0xffffffffn));
  cpu.store32(wall + WALL_CLOCK.nsec, Number(epochNs % NSEC_PER_SEC));
  if (secHi !== undefined) cpu.store32(secHi, Number((sec >> 32n) & 0xffffffffn));
}
