/** One page that a hypervisor writes and a guest reads, in this process; what the guest's TSC shows is set by the test. */
import type { GuestCpu } from '../../src/guest/cpu.ts';
import type { HostCpu } from '../../src/hypervisor/cpu.ts';
import { createWords, sharedMemory } from '../../src/hypervisor/shared-memory.ts';

export interface PageClock {
  tsc: bigint;
  /** Called at each TSC read, before it, and at each retry. */
  onTsc: () => void;
  onRelax: () => void;
}

export interface PageReader {
  readonly host: HostCpu;
  readonly guest: GuestCpu;
  readonly clock: PageClock;
}

export function pageReader(): PageReader {
  const buffer = new SharedArrayBuffer(4096);
  const view = new DataView(buffer);
  const host = sharedMemory({ memory: buffer, words: createWords(1), hostClock: { tsc: () => 0n, ns: () => 0n } });
  const clock: PageClock = { tsc: 0n, onTsc() {}, onRelax() {} };
  const rdtsc = () => {
    clock.onTsc();
    return clock.tsc;
  };
  const guest: GuestCpu = {
    load8: (address) => view.getUint8(address),
    load32: (address) => view.getUint32(address, true),
    load64: (address) => view.getBigUint64(address, true),
    rdtscOrdered: rdtsc,
    rdtsc,
    rdtscp: () => ({ tsc: rdtsc(), vcpu: 0 }),
    readBarrier() {},
    loadFence() {},
    vcpu: () => 0,
    relax: () => clock.onRelax(),
  };
  return { host, guest, clock };
}
