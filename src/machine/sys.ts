/**
 * The one door to node:ffi and, through it, to libc. Everything that needs a system call that Node does not offer comes
 * here, and nothing else in the project imports node:ffi.
 *
 * Traps that this file keeps away from its callers: a TypedArray passed as a pointer leaks a handle a call, so pointers
 * are bigints taken once; errno is read before anything else may overwrite it; a view is never handed to postMessage; a
 * thread ends behind its compiles (compile-jobs.ts), which it does at `exit` and not where it is terminated.
 */
import type * as NodeFfi from 'node:ffi';
import { awaitCompileJobs } from './compile-jobs.ts';
import { whyNoFfi } from './runtime.ts';

/** Why something cannot be had here: a result, not an error. */
export interface Unavailable {
  readonly unavailable: string;
}

/** A system call that failed. `code`: the errno's name, or its number where it has none here. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';
  readonly call: string;
  readonly errno: number;
  readonly code: string;

  constructor(call: string, errno: number) {
    const code = ERRNO[errno] ?? `errno ${errno}`;
    super(`${call}: ${code}`);
    this.call = call;
    this.errno = errno;
    this.code = code;
  }
}

const ERRNO: Readonly<Record<number, string>> = {
  1: 'EPERM',
  2: 'ENOENT',
  3: 'ESRCH',
  4: 'EINTR',
  5: 'EIO',
  6: 'ENXIO',
  7: 'E2BIG',
  9: 'EBADF',
  11: 'EAGAIN',
  12: 'ENOMEM',
  13: 'EACCES',
  14: 'EFAULT',
  16: 'EBUSY',
  17: 'EEXIST',
  19: 'ENODEV',
  22: 'EINVAL',
  24: 'EMFILE',
  25: 'ENOTTY',
  28: 'ENOSPC',
  38: 'ENOSYS',
  95: 'EOPNOTSUPP',
};

const LIBC = {
  __errno_location: { return: 'pointer', arguments: [] },
  open: { return: 'int32', arguments: ['string', 'int32'] },
  close: { return: 'int32', arguments: ['int32'] },
  pipe2: { return: 'int32', arguments: ['pointer', 'int32'] },
  read: { return: 'int64', arguments: ['int32', 'pointer', 'uint64'] },
  write: { return: 'int64', arguments: ['int32', 'pointer', 'uint64'] },
  ioctl: { return: 'int32', arguments: ['int32', 'uint64', 'uint64'] },
  mmap: { return: 'pointer', arguments: ['uint64', 'uint64', 'int32', 'int32', 'int32', 'int64'] },
  munmap: { return: 'int32', arguments: ['uint64', 'uint64'] },
  mprotect: { return: 'int32', arguments: ['uint64', 'uint64', 'int32'] },
  memfd_create: { return: 'int32', arguments: ['string', 'uint32'] },
  getpid: { return: 'int32', arguments: [] },
  gettid: { return: 'int32', arguments: [] },
  tgkill: { return: 'int32', arguments: ['int32', 'int32', 'int32'] },
  sched_getaffinity: { return: 'int32', arguments: ['int32', 'uint64', 'pointer'] },
  sched_setaffinity: { return: 'int32', arguments: ['int32', 'uint64', 'pointer'] },
  sched_getcpu: { return: 'int32', arguments: [] },
  clock_gettime: { return: 'int32', arguments: ['int32', 'pointer'] },
  lseek: { return: 'int64', arguments: ['int32', 'int64', 'int32'] },
} as const satisfies NodeFfi.FunctionDefinitions;

type Libc = NodeFfi.DynamicLibraryResult<typeof LIBC>['functions'];

/** Flags and numbers of the calls above, as <fcntl.h> and <sys/mman.h> have them on x86-64 Linux. */
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_CLOEXEC = 0o2000000;
export const PROT_NONE = 0;
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;
export const MFD_CLOEXEC = 1;
export const PAGE_BYTES = 4096;

export interface Sys {
  readonly ffi: typeof NodeFfi;
  /** libc's functions, raw: they answer -1 where they fail. Prefer `check`. */
  readonly libc: Libc;
  /** Passes a result through, or throws SystemCallError with `call` as its subject where it is -1. */
  check<R extends number | bigint>(call: string, result: R): R;
  /** errno of the call just made. */
  errno(): number;
  /** A view of `length` bytes at `address`, without a copy. It must be mapped, and stay so while the view is used. */
  view(address: bigint, length: number): ArrayBuffer;
  /** Whether `length` bytes at `address` can be read, asked of the kernel so that a fault cannot reach this process. */
  readable(address: bigint, length: number): boolean;
  /** Loads an ELF shared object from memory. */
  load<const T extends NodeFfi.FunctionDefinitions>(image: Uint8Array, symbols: T): NodeFfi.DynamicLibraryResult<T>;
}

let opened: Sys | Unavailable | undefined;

/** libc through node:ffi; the same object at every call. Never throws: where there is no node:ffi it says why. */
export function openSys(): Sys | Unavailable {
  opened ??= open();
  return opened;
}

export function isUnavailable<T extends object>(value: T | Unavailable): value is Unavailable {
  return 'unavailable' in value;
}

function open(): Sys | Unavailable {
  if (process.platform !== 'linux')
    return { unavailable: `node:ffi is used on Linux only, and this is ${process.platform}` };
  if (process.arch !== 'x64') return { unavailable: `the image is x86-64 code, and this is ${process.arch}` };
  let ffi: typeof NodeFfi | undefined;
  try {
    ffi = process.getBuiltinModule?.('node:ffi');
  } catch (error) {
    return { unavailable: `node:ffi cannot be loaded: ${messageOf(error)}` };
  }
  if (ffi === undefined) return { unavailable: whyNoFfi() };
  try {
    const { functions } = ffi.dlopen(null, LIBC);
    process.once('exit', awaitCompileJobs);
    return sysOf(ffi, functions);
  } catch (error) {
    const denied = (error as { code?: string }).code === 'ERR_ACCESS_DENIED';
    return {
      unavailable: denied
        ? 'node:ffi is denied by --permission; add --allow-ffi'
        : `libc cannot be opened: ${messageOf(error)}`,
    };
  }
}

function sysOf(ffi: typeof NodeFfi, libc: Libc): Sys {
  const errno = () => ffi.getInt32(libc.__errno_location());
  const check = <R extends number | bigint>(call: string, result: R): R => {
    if (result === -1 || result === -1n || result === MAP_FAILED) throw new SystemCallError(call, errno());
    return result;
  };
  const view = (address: bigint, length: number) => ffi.toArrayBuffer(address, length, false);
  const sys: Sys = {
    ffi,
    libc,
    errno,
    check,
    view,
    readable: (address, length) => readable(sys, address, length),
    load: (image, symbols) => load(sys, image, symbols),
  };
  return sys;
}

const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

/** write(2) copies from the address in the kernel: a page that cannot be read answers EFAULT there, and kills nobody. */
function readable(sys: Sys, address: bigint, length: number): boolean {
  const fds = new Int32Array(2);
  sys.check('pipe2', sys.libc.pipe2(sys.ffi.getRawPointer(fds), O_CLOEXEC));
  const [readEnd, writeEnd] = fds as unknown as [number, number];
  try {
    for (let at = address; at < address + BigInt(length); at = pageAfter(at)) {
      if (sys.libc.write(writeEnd, at, 1n) !== 1n) return false;
    }
    return true;
  } finally {
    sys.libc.close(readEnd);
    sys.libc.close(writeEnd);
  }
}

const pageAfter = (address: bigint): bigint => (address | BigInt(PAGE_BYTES - 1)) + 1n;

function load<const T extends NodeFfi.FunctionDefinitions>(
  sys: Sys,
  image: Uint8Array,
  symbols: T,
): NodeFfi.DynamicLibraryResult<T> {
  const fd = sys.check('memfd_create', sys.libc.memfd_create('kvmclock', MFD_CLOEXEC));
  try {
    const copied = sys.libc.write(fd, sys.ffi.getRawPointer(image), BigInt(image.byteLength));
    if (copied !== BigInt(image.byteLength)) throw new SystemCallError('write of the image', sys.errno());
    return sys.ffi.dlopen(`/proc/self${uniqueSlashes()}/fd/${fd}`, symbols);
  } finally {
    sys.libc.close(fd); // the mapping stays
  }
}

/**
 * The loader takes a path that it has seen for the object that it has loaded, though the descriptor behind it is another
 * one by now. So each load spells the same folder in its own way: 48 random bits, as `/` or `/.`.
 */
function uniqueSlashes(): string {
  return Array.from({ length: 48 }, () => (Math.random() < 0.5 ? '/' : '/.')).join('');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
