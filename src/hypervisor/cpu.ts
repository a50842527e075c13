/**
 * What the hypervisor may do. The same publisher, run loop and freeze run over the checker's memory, as Workers over a
 * SharedArrayBuffer, and around KVM_RUN over a guest's memory: each of them is one implementation of this interface.
 *
 * Two address spaces in one number: below HYPERVISOR_WORDS guest-physical addresses, from there on the hypervisor's own
 * words (request bits, vCPU modes, the VM-wide copy), so that these too can be shared between threads and explored.
 * Accesses are little-endian and aligned; one load or store is one access: it never tears. One exception: a guest may place
 * its record at 4 mod 8, and there a 64-bit access may be two of 32 bits.
 */
export interface HostCpu {
  /** u32 at `address`. */
  load32(address: number): number;
  /** u64 at `address`. */
  load64(address: number): bigint;
  store32(address: number, value: number): void;
  store64(address: number, value: bigint): void;

  /** No later store is seen before an earlier one. On x86 it only holds the compiler: stores are not reordered with stores. */
  writeBarrier(): void;
  /** Every earlier store is seen by all before any later load is done. MFENCE, or any locked operation. */
  fence(): void;

  /** Atomic u32 operations; each returns what was there and is a full fence. */
  fetchOr32(address: number, bits: number): number;
  fetchAndNot32(address: number, bits: number): number;
  exchange32(address: number, value: number): number;

  /** Sleeps while the u32 at `address` is `value`. May return early: look again. */
  wait32(address: number, value: number): void;
  /** Wakes those who sleep in wait32 at `address`. */
  wake32(address: number): void;
  /** Makes `vcpu` leave guest mode soon; nothing where it is out already. Does not wait. */
  kick(vcpu: number): void;

  /** The host's TSC, in host cycles, ordered after earlier loads. */
  hostTsc(): bigint;
  /** The clock that the records follow, in nanoseconds since the host's boot. Not one instant with `hostTsc()`. */
  hostNs(): bigint;

  /** Called once in every retry loop, before it goes round. The loop must carry no local from one round to the next. */
  relax(): void;
}

/** Where the hypervisor's own words begin. */
export const HYPERVISOR_WORDS = 2 ** 50;
