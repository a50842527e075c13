/**
 * One of KVM's three kinds of file descriptor. An ioctl that fails throws SystemCallError with the ioctl's name and the
 * errno's: `KVM_CREATE_VCPU: EINVAL`. Arguments go through one block of this thread, so no call may nest in another's
 * `fill` or `read`.
 */
import { KVM_IOCTLS, type KvmDescriptor, type KvmIoctl, type KvmIoctlName } from '../../abi/kvm-ioctls.ts';
import type { Sys } from '../sys.ts';

/** Enough for the longest argument: 256 CPUID entries. */
const ARGUMENT_BYTES = 16 * 1024;

interface Argument {
  readonly view: DataView;
  readonly address: bigint;
}

let argument: Argument | undefined;

/** The block's address is taken once: a typed array handed over as a pointer would leak a handle at each call. */
function argumentBlock(sys: Sys): Argument {
  if (argument === undefined) {
    const buffer = new ArrayBuffer(ARGUMENT_BYTES);
    argument = { view: new DataView(buffer), address: sys.ffi.getRawPointer(buffer) };
  }
  return argument;
}

export class Descriptor<D extends KvmDescriptor> {
  readonly sys: Sys;
  readonly kind: D;
  readonly fd: number;
  #closed = false;

  constructor(sys: Sys, kind: D, fd: number) {
    this.sys = sys;
    this.kind = kind;
    this.fd = fd;
  }

  /** An ioctl whose argument is a number. Returns what KVM answers, 0 or more. */
  call(name: KvmIoctlName<D>, value = 0n): number {
    if (this.#closed) throw new Error(`${name}: the ${this.kind} descriptor is closed`);
    const { request } = (KVM_IOCTLS[this.kind] as Readonly<Record<string, KvmIoctl>>)[name]!;
    return this.sys.check(name, this.sys.libc.ioctl(this.fd, BigInt(request), value));
  }

  /** An ioctl whose argument is a structure of `bytes`: zeroed, filled, passed, and read where KVM answers in it. */
  pass<R = void>(
    name: KvmIoctlName<D>,
    bytes: number,
    fill: (view: DataView, address: bigint) => void,
    read?: (view: DataView, result: number) => R,
  ): R {
    const { view, address } = argumentBlock(this.sys);
    new Uint8Array(view.buffer, 0, bytes).fill(0);
    fill(view, address);
    const result = this.call(name, address);
    return read?.(view, result) as R;
  }

  /** An ioctl that only answers. */
  take<R>(name: KvmIoctlName<D>, bytes: number, read: (view: DataView) => R): R {
    return this.pass(name, bytes, () => {}, read);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.sys.libc.close(this.fd);
  }
}
