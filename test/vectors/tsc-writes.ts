/**
 * The rule by which a written TSC is taken to mean "the same as the one written last", at 1 GHz, where a cycle is a
 * nanosecond: the last write of `first`, and `second` written `afterNs` later to another vCPU. `userFirst`: user space wrote the first.
 */
export interface TscWriteVector {
  readonly flavour: 'kvm' | 'kvm-2015' | 'kvmclock';
  readonly first: bigint;
  readonly afterNs: bigint;
  readonly second: bigint;
  readonly userFirst: boolean;
  readonly same: boolean;
}

const SEC = 1_000_000_000n;
const FIRST = 500n * SEC;

const sameFirst = { first: FIRST, userFirst: true } as const;

export const TSC_WRITE_VECTORS: readonly TscWriteVector[] = [
  // Today: within a second of what the last written one shows by now, both ends excluded.
  { ...sameFirst, flavour: 'kvm', afterNs: 20n * SEC, second: FIRST + 20n * SEC, same: true },
  { ...sameFirst, flavour: 'kvm', afterNs: 20n * SEC, second: FIRST + 21n * SEC - 2n, same: true },
  { ...sameFirst, flavour: 'kvm', afterNs: 20n * SEC, second: FIRST + 21n * SEC, same: false },
  { ...sameFirst, flavour: 'kvm', afterNs: 20n * SEC, second: FIRST + 19n * SEC + 2n, same: true },
  { ...sameFirst, flavour: 'kvm', afterNs: 20n * SEC, second: FIRST + 19n * SEC - 2n, same: false },
  { ...sameFirst, flavour: 'kvm', afterNs: 20n * SEC, second: FIRST, same: false },
  // Zero always means the same.
  { ...sameFirst, flavour: 'kvm', afterNs: 20n * SEC, second: 0n, same: true },
  { ...sameFirst, flavour: 'kvmclock', afterNs: 20n * SEC, second: 0n, same: true },
  // The first that user space ever writes never does, though it is close to what creation left.
  { flavour: 'kvm', first: 0n, userFirst: false, afterNs: SEC / 2n, second: SEC / 2n, same: false },
  { flavour: 'kvm-2015', first: 0n, userFirst: false, afterNs: SEC / 2n, second: SEC / 2n, same: true },
  // 2015: within a second, in whole microseconds, of the last write and the time since; zero is nothing special.
  { ...sameFirst, flavour: 'kvm-2015', afterNs: 20n * SEC, second: FIRST + 20n * SEC, same: true },
  { ...sameFirst, flavour: 'kvm-2015', afterNs: 20n * SEC, second: FIRST + 21n * SEC - 1000n, same: true },
  { ...sameFirst, flavour: 'kvm-2015', afterNs: 20n * SEC, second: FIRST + 21n * SEC, same: false },
  { ...sameFirst, flavour: 'kvm-2015', afterNs: 20n * SEC, second: FIRST + 19n * SEC + 1000n, same: true },
  { ...sameFirst, flavour: 'kvm-2015', afterNs: 20n * SEC, second: FIRST + 19n * SEC, same: false },
  { ...sameFirst, flavour: 'kvm-2015', afterNs: 20n * SEC, second: 0n, same: false },
];
