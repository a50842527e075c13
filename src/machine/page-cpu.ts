/** The processor that this process runs on, as a GuestCpu over a page that the hypervisor writes. */
import type { GuestCpu } from '../guest/cpu.ts';
import type { ClockFunctions } from './clock-image.ts';
import { atomicLoads } from './loads.ts';

/** Address 0 is the page's first byte. The plain readers run on real records with it. */
export function pageCpu(page: ArrayBuffer, image: ClockFunctions): GuestCpu {
  const vcpu = () => image.kvmclock_vcpu();
  return {
    ...atomicLoads(page),
    rdtscOrdered: () => image.kvmclock_rdtsc_ordered(),
    rdtsc: () => image.kvmclock_rdtsc(),
    rdtscp: () => {
      for (;;) {
        const before = vcpu();
        const tsc = image.kvmclock_rdtscp();
        if (vcpu() === before) return { tsc, vcpu: before };
      }
    },
    readBarrier: () => {}, // the loads are atomic already
    loadFence: () => {
      image.kvmclock_rdtsc_lfence();
    },
    vcpu,
    relax: () => {},
  };
}
