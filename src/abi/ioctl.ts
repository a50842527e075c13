/**
 * Linux's ioctl numbers, computed as asm-generic/ioctl.h composes them:
 * bits 31..30 direction, 29..16 size of the argument in bytes, 15..8 type, 7..0 number.
 */

const WRITE = 1;
const READ = 2;

function compose(direction: number, type: number, nr: number, size: number): number {
  return ((direction << 30) | (size << 16) | (type << 8) | nr) >>> 0;
}

/** No argument, or one passed by value. */
export const io = (type: number, nr: number): number => compose(0, type, nr, 0);
/** The caller passes `size` bytes in. */
export const iow = (type: number, nr: number, size: number): number => compose(WRITE, type, nr, size);
/** The kernel passes `size` bytes out. */
export const ior = (type: number, nr: number, size: number): number => compose(READ, type, nr, size);
/** Both. */
export const iowr = (type: number, nr: number, size: number): number => compose(READ | WRITE, type, nr, size);

/** The type byte of every KVM ioctl. */
export const KVMIO = 0xae;
