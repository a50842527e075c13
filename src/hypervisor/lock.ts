/** A lock in one word: 0 free, 1 taken. Those who wait sleep on the word; a release wakes them. */
import type { HostCpu } from './cpu.ts';

export function acquire(cpu: HostCpu, lock: number): void {
  while (cpu.exchange32(lock, 1) !== 0) {
    cpu.wait32(lock, 1);
    cpu.relax();
  }
}

/** To be called by the one who holds it. */
export function release(cpu: HostCpu, lock: number): void {
  cpu.exchange32(lock, 0); // a full fence: all that was written under the lock is seen before it is free
  cpu.wake32(lock);
}
