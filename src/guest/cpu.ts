/**
 * What a reader may do. The same reader runs over the checker's memory, over a SharedArrayBuffer, over a KVM guest's
 * memory and over the live record: each of them is one implementation of this interface.
 *
 * Addresses are byte offsets into the memory that the machine offers; loads are little-endian and aligned, and one load
 * is one access: it never tears.
 */
export interface GuestCpu {
  /** u8 at `address`. */
  load8(address: number): number;
  /** u32 at `address`. */
  load32(address: number): number;
  /** u64 at `address`. */
  load64(address: number): bigint;

  /** The TSC, read after every earlier load is done: RDTSCP, or LFENCE; RDTSC. */
  rdtscOrdered(): bigint;
  /** The TSC with no order at all: the processor may read it before earlier loads and after later ones. */
  rdtsc(): bigint;
  /** TSC and vCPU number from one instruction, so from one vCPU; ordered as `rdtscOrdered`. */
  rdtscp(): TscAndVcpu;

  /**
   * No later load is done before an earlier one. The record's writer is another machine, so this is needed on a
   * one-vCPU guest too; on x86 it costs nothing, as loads are not reordered with loads: it only holds the compiler.
   */
  readBarrier(): void;

  /** LFENCE: everything earlier, a TSC read too, is done before anything later begins. */
  loadFence(): void;

  /** The number of the vCPU that this call runs on; stale as soon as it is returned. */
  vcpu(): number;

  /**
   * Called once in every retry loop, before it goes round: a pause on a processor. The loop must carry no local from one
   * round to the next, so a checker may forget the rounds that failed.
   */
  relax(): void;
}

/** What only the guest's kernel may do: user space has the records mapped read-only. */
export interface GuestKernelCpu extends GuestCpu {
  /** Stores `desired` if the u64 at `address` is `expected`; returns what was there. Atomic. */
  compareExchange64(address: number, expected: bigint, desired: bigint): bigint;
  /** Ands the u8 at `address` with `mask`; returns what was there. Atomic. */
  fetchAnd8(address: number, mask: number): number;
}

/** What the guest's timekeeper does to the page of bases that user space has mapped read-only (abi/clock-base.ts). */
export interface TimekeeperCpu extends Pick<GuestCpu, 'load32' | 'load64'> {
  store32(address: number, value: number): void;
  store64(address: number, value: bigint): void;
  /** No later store is seen before an earlier one. On x86 it only holds the compiler. */
  writeBarrier(): void;
  /** Every earlier store is seen by all before a later load, or a later reading of the counter, is done. */
  fence(): void;
}

/** What RDTSCP gives: the TSC in cycles, and the vCPU that it was read on. */
export interface TscAndVcpu {
  readonly tsc: bigint;
  readonly vcpu: number;
}

/**
 * Reads the clock through the records that begin at `records` (vCPU 0's; each next one PVTI_SIZE on).
 * Returns u64 nanoseconds since the VM's clock was zero, or undefined where the record says that it is not stable:
 * the caller then asks the kernel.
 */
export type Reader = (cpu: GuestCpu, records: number) => bigint | undefined;
