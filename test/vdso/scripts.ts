/** Scripts for a World: random ones, and the edges where arithmetic and sequence counts go wrong. */
import fc, { type Arbitrary } from 'fast-check';
import type { Pvti } from '../../src/abi/pvti.ts';
import type { Script, Strike } from './world.ts';

const MAX_U64 = 2n ** 64n - 1n;
/** One past the middle between two doubles, where the last bit decides, below and above 2^63. */
const ROUNDED_UP = [(1n << 53n) + 1n, (1n << 62n) + 513n, (1n << 63n) + 1025n, (1n << 63n) + 3073n];
const EDGES = [0n, 1n, 0xffff_ffffn, 1n << 32n, 1n << 62n, (1n << 63n) - 1n, 1n << 63n, MAX_U64];
export const u64: Arbitrary<bigint> = fc.oneof(
  fc.bigInt({ min: 0n, max: MAX_U64 }),
  fc.constantFrom(...EDGES, ...ROUNDED_UP),
);
export const mul: Arbitrary<number> = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.constantFrom(0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
);
export const shift: Arbitrary<number> = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: -31, max: 0 }) },
  { weight: 1, arbitrary: fc.integer({ min: -128, max: 127 }) },
  { weight: 2, arbitrary: fc.constantFrom(-128, -64, -63, -33, -32, -31, -1, 0, 1, 2, 31, 32, 63, 64, 127) },
);
const keptShift = shift.map((any) => (any < -31 || any > 0 ? -(any & 31) : any));

/** Few versions, so that they come back; odd ones and the last two before it wraps among them. */
const version = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 3 }).map((half) => half * 2) },
  { weight: 1, arbitrary: fc.constantFrom(0, 3, 5, 0xffff_fffe, 0xffff_ffff) },
);
const flags = fc.constantFrom(1, 1, 1, 0, 2, 3, 4, 0xff);

function fieldsOf(withShift: Arbitrary<number>) {
  return { version, tscTimestamp: u64, systemTime: u64, tscToSystemMul: mul, tscShift: withShift, flags };
}

/** Near the timestamp on either side, or anywhere. */
function tscsFor(records: readonly Pvti[]): Arbitrary<bigint[]> {
  const near = fc
    .tuple(
      fc.constantFrom(...records),
      fc.oneof(fc.bigInt({ min: -5n, max: 5n }), fc.bigInt({ min: 0n, max: 1n << 40n })),
    )
    .map(([{ tscTimestamp }, away]) => BigInt.asUintN(64, tscTimestamp + away));
  return fc.array(fc.oneof(near, u64), { minLength: 1, maxLength: 3 });
}

/** `strikes`: whether the hypervisor writes while the reader reads; `kept`: only shifts that `cached` keeps. */
export function scripts({ strikes, kept }: { strikes: boolean; kept: boolean }): Arbitrary<Script> {
  const fields = fieldsOf(kept ? keptShift : shift);
  const record: Arbitrary<Pvti> = fc.record(fields);
  const strike: Arbitrary<Strike> = fc.record({
    at: fc.nat({ max: 40 }),
    vcpu: fc.constantFrom(0, 0, 1),
    fields: fc.oneof(record, fc.record(fields, { requiredKeys: [] })) as Arbitrary<Partial<Pvti>>,
  });
  return fc.array(record, { minLength: 2, maxLength: 2 }).chain((records) =>
    fc.record({
      records: fc.constant(records),
      strikes: strikes ? fc.array(strike, { maxLength: 6 }) : fc.constant([]),
      tscs: tscsFor(records),
      vcpus: fc.array(fc.constantFrom(0, 1), { minLength: 1, maxLength: 6 }),
      kernelNs: fc.array(fc.bigInt({ min: 0n, max: 1n << 62n }), { minLength: 1, maxLength: 3 }),
      hasRdtscp: fc.boolean(),
      attached: fc.constantFrom(true, true, false),
      offset: u64,
    }),
  );
}
