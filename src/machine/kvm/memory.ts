/**
 * A guest's memory: anonymous pages of this process, shared so that a child may see them too. Every thread of the process
 * finds it at the same address and takes a view of its own. A view must not outlive `unmap`: a touch of it then would
 * be a segmentation fault, so views are taken from here when they are needed.
 */
import { MAP_ANONYMOUS, MAP_NORESERVE, MAP_SHARED, PAGE_BYTES, PROT_READ, PROT_WRITE, type Sys } from '../sys.ts';

export class GuestMemory {
  readonly bytes: number;
  /** Where it begins in this process. */
  readonly address: bigint;
  readonly #sys: Sys;
  #view: DataView | undefined;

  constructor(sys: Sys, bytes: number) {
    if (bytes <= 0 || bytes % PAGE_BYTES !== 0) {
      throw new RangeError(`guest memory must be a positive multiple of ${PAGE_BYTES} bytes, got ${bytes}`);
    }
    this.#sys = sys;
    this.bytes = bytes;
    const flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
    this.address = sys.check(
      'mmap of guest memory',
      sys.libc.mmap(0n, BigInt(bytes), PROT_READ | PROT_WRITE, flags, -1, 0n),
    );
    this.#view = new DataView(sys.view(this.address, bytes));
  }

  /** All of it, from guest-physical address 0. Throws where the VM is closed. */
  get view(): DataView {
    if (this.#view === undefined) throw new Error('guest memory: the VM is closed');
    return this.#view;
  }

  /** The bytes at guest-physical `address`. Throws RangeError where they do not lie in memory. */
  slice(address: number, bytes: number): Uint8Array {
    if (address < 0 || address + bytes > this.bytes) {
      throw new RangeError(
        `guest memory: ${bytes} bytes at 0x${address.toString(16)} do not fit into 0x${this.bytes.toString(16)} bytes`,
      );
    }
    return new Uint8Array(this.view.buffer, address, bytes);
  }

  unmap(): void {
    if (this.#view === undefined) return;
    this.#view = undefined;
    this.#sys.libc.munmap(this.address, BigInt(this.bytes));
  }
}
