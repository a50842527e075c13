/**
 * The processor that the simulated machine's hypervisor code runs on. On a real one code is held up at any moment, by an
 * interrupt, by another thread of the host, and between two stores to a record is where a race shows. So that it shows on a
 * quiet machine, on a busy one and on one processor alike, it is done on purpose, by chance: before a store to guest memory the
 * thread spins for a moment now and then, and more rarely it sleeps, so that others run.
 */
import { type HostCpu, HYPERVISOR_WORDS } from '../../hypervisor/cpu.ts';
import { type BoundedMemory, type SharedMemoryOptions, sharedMemory } from '../../hypervisor/shared-memory.ts';

/** One store in so many waits for up to so many loads of a word: a microsecond or so. */
const SPIN_ONE_IN = 8;
const MOST_LOADS = 200;
/** One in so many sleeps so long, and as much longer as the system's timers are coarse. */
const SLEEP_ONE_IN = 512;
const SLEEP_MS = 0.02;

export function simulatedHostCpu(options: SharedMemoryOptions): HostCpu & BoundedMemory {
  return new SimulatedHostCpu(options);
}

class SimulatedHostCpu implements HostCpu, BoundedMemory {
  readonly #memory: HostCpu & BoundedMemory;
  readonly #never = new Int32Array(new SharedArrayBuffer(4));

  constructor(options: SharedMemoryOptions) {
    this.#memory = sharedMemory(options);
  }

  store32(address: number, value: number): void {
    if (address < HYPERVISOR_WORDS) this.#holdUp();
    this.#memory.store32(address, value);
  }

  store64(address: number, value: bigint): void {
    if (address < HYPERVISOR_WORDS) this.#holdUp();
    this.#memory.store64(address, value);
  }

  #holdUp(): void {
    if (Math.random() * SLEEP_ONE_IN < 1) Atomics.wait(this.#never, 0, 0, SLEEP_MS);
    if (Math.random() * SPIN_ONE_IN >= 1) return;
    for (let left = Math.random() * MOST_LOADS; left > 0; left--) Atomics.load(this.#never, 0);
  }

  load32(address: number): number {
    return this.#memory.load32(address);
  }

  load64(address: number): bigint {
    return this.#memory.load64(address);
  }

  writeBarrier(): void {
    this.#memory.writeBarrier();
  }

  fence(): void {
    this.#memory.fence();
  }

  fetchOr32(address: number, bits: number): number {
    return this.#memory.fetchOr32(address, bits);
  }

  fetchAndNot32(address: number, bits: number): number {
    return this.#memory.fetchAndNot32(address, bits);
  }

  exchange32(address: number, value: number): number {
    return this.#memory.exchange32(address, value);
  }

  wait32(address: number, value: number): void {
    this.#memory.wait32(address, value);
  }

  wake32(address: number): void {
    this.#memory.wake32(address);
  }

  kick(vcpu: number): void {
    this.#memory.kick(vcpu);
  }

  hostTsc(): bigint {
    return this.#memory.hostTsc();
  }

  hostNs(): bigint {
    return this.#memory.hostNs();
  }

  relax(): void {
    this.#memory.relax();
  }

  holds(address: number, bytes: number): boolean {
    return this.#memory.holds(address, bytes);
  }
}
