/**
 * HostCpu over buffers: guest memory as one or more regions, and the hypervisor's own words in a SharedArrayBuffer, so that
 * one VM can be served from several Workers. Every aligned access is one Atomics operation, so
 * the two sides order as they must; one that the guest placed across its alignment is done in pieces, as its version allows.
 */
import { type HostCpu, HYPERVISOR_WORDS } from './cpu.ts';
import type { HostClock } from './host-clock.ts';
import { wordsBytes } from './words.ts';

/** A stretch of guest-physical memory. `address` must be a multiple of 8, and so must `offset`, the first byte in `buffer`. */
export interface GuestRegion {
  readonly address: number;
  readonly buffer: ArrayBufferLike;
  readonly offset?: number;
  /** To the end of the buffer if not given. */
  readonly bytes?: number;
}

/** What sharedMemory() takes. */
export interface SharedMemoryOptions {
  /** Guest memory from address 0 on, or its regions. */
  readonly memory: ArrayBufferLike | readonly GuestRegion[];
  readonly hostClock: Pick<HostClock, 'tsc' | 'ns'>;
  /** The words of the VM, from `createWords`; every thread of one VM passes the same. */
  readonly words: ArrayBufferLike;
  /** Makes a vCPU leave the guest soon. Not needed where guest code never runs while the hypervisor does. */
  kick?(vcpu: number): void;
}

/** What a HostCpu may know of the memory behind it. */
export interface BoundedMemory {
  /** True where the guest has memory at all of these bytes. */
  holds(address: number, bytes: number): boolean;
}

/** Words for a VM of `vcpus`, all zero. Throws RangeError on a number of vCPUs that no VM has. */
export function createWords(vcpus: number): SharedArrayBuffer {
  if (!Number.isInteger(vcpus) || vcpus < 1) throw new RangeError(`vcpus: a VM has 1 or more, not ${vcpus}`);
  return new SharedArrayBuffer(wordsBytes(vcpus));
}

/**
 * A HostCpu over guest memory and the VM's words. Throws RangeError on a region that is not at a multiple of 8, or beyond its
 * buffer; its accesses throw one where the guest has no memory, or the VM no words.
 */
export function sharedMemory(options: SharedMemoryOptions): HostCpu & BoundedMemory {
  return new SharedMemory(options);
}

/** One stretch of memory in the views that its accesses take. */
interface Stretch {
  readonly address: number;
  readonly bytes: number;
  readonly words: Int32Array;
  readonly longs: BigUint64Array;
  readonly view: DataView;
}

class SharedMemory implements HostCpu, BoundedMemory {
  readonly #own: Stretch;
  readonly #ownEnd: number;
  readonly #guest: readonly Stretch[];
  readonly #clock: Pick<HostClock, 'tsc' | 'ns'>;
  readonly #kick: ((vcpu: number) => void) | undefined;
  readonly #fence = new Int32Array(1);

  constructor(options: SharedMemoryOptions) {
    const { memory } = options;
    this.#guest = ('byteLength' in memory ? [{ address: 0, buffer: memory }] : memory).map(stretchOf);
    this.#own = stretchOf({ address: HYPERVISOR_WORDS, buffer: options.words });
    this.#ownEnd = HYPERVISOR_WORDS + this.#own.bytes;
    this.#clock = options.hostClock;
    this.#kick = options.kick?.bind(options);
  }

  load32(address: number): number {
    const { words, view, address: start } = this.#stretch(address, 4);
    const at = address - start;
    return (at % 4 === 0 ? Atomics.load(words, at / 4) : view.getInt32(at, true)) >>> 0;
  }

  load64(address: number): bigint {
    const { longs, view, address: start } = this.#stretch(address, 8);
    const at = address - start;
    return at % 8 === 0 ? Atomics.load(longs, at / 8) : view.getBigUint64(at, true);
  }

  store32(address: number, value: number): void {
    const { words, view, address: start } = this.#stretch(address, 4);
    const at = address - start;
    if (at % 4 === 0) Atomics.store(words, at / 4, value | 0);
    else view.setUint32(at, value, true);
  }

  store64(address: number, value: bigint): void {
    const { longs, view, address: start } = this.#stretch(address, 8);
    const at = address - start;
    if (at % 8 === 0) Atomics.store(longs, at / 8, value);
    else view.setBigUint64(at, value, true);
  }

  writeBarrier(): void {} // every store is an Atomics.store: none passes another

  fence(): void {
    Atomics.exchange(this.#fence, 0, 0); // a locked operation
  }

  fetchOr32(address: number, bits: number): number {
    const { words, address: start } = this.#stretch(address, 4);
    return Atomics.or(words, (address - start) / 4, bits) >>> 0;
  }

  fetchAndNot32(address: number, bits: number): number {
    const { words, address: start } = this.#stretch(address, 4);
    return Atomics.and(words, (address - start) / 4, ~bits) >>> 0;
  }

  exchange32(address: number, value: number): number {
    const { words, address: start } = this.#stretch(address, 4);
    return Atomics.exchange(words, (address - start) / 4, value | 0) >>> 0;
  }

  wait32(address: number, value: number): void {
    const { words, address: start } = this.#stretch(address, 4);
    if (!(words.buffer instanceof SharedArrayBuffer)) {
      throw new Error(
        `wait32 at ${address}: the words are not in a SharedArrayBuffer, so no other thread can change them`,
      );
    }
    Atomics.wait(words, (address - start) / 4, value | 0);
  }

  wake32(address: number): void {
    const { words, address: start } = this.#stretch(address, 4);
    Atomics.notify(words, (address - start) / 4);
  }

  kick(vcpu: number): void {
    this.#kick?.(vcpu);
  }

  hostTsc(): bigint {
    return this.#clock.tsc();
  }

  hostNs(): bigint {
    return this.#clock.ns();
  }

  relax(): void {}

  holds(address: number, bytes: number): boolean {
    return this.#guest.some((region) => within(region, address, bytes));
  }

  #stretch(address: number, bytes: number): Stretch {
    if (address >= HYPERVISOR_WORDS) {
      if (address + bytes <= this.#ownEnd) return this.#own;
      throw new RangeError('words: too few for that many vCPUs; createWords() makes as many as a VM needs');
    }
    for (const region of this.#guest) if (within(region, address, bytes)) return region;
    throw new RangeError(`access of ${bytes} bytes at guest address 0x${address.toString(16)}: no memory there`);
  }
}

function within(region: Stretch, address: number, bytes: number): boolean {
  return address >= region.address && address + bytes <= region.address + region.bytes;
}

function stretchOf(region: GuestRegion): Stretch {
  const { address, buffer, offset = 0, bytes = buffer.byteLength - offset } = region;
  if (address % 8 !== 0 || offset % 8 !== 0) {
    throw new RangeError(`guest region at ${address}, offset ${offset} in its buffer: both must be multiples of 8`);
  }
  if (offset < 0 || bytes < 0 || offset + bytes > buffer.byteLength) {
    throw new RangeError(
      `guest region at ${address}: bytes ${offset} to ${offset + bytes} of a buffer that has ${buffer.byteLength}`,
    );
  }
  return {
    address,
    bytes,
    words: new Int32Array(buffer, offset, Math.floor(bytes / 4)),
    longs: new BigUint64Array(buffer, offset, Math.floor(bytes / 8)),
    view: new DataView(buffer, offset, bytes),
  };
}
