import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { scaleDelta, scaleDelta32 } from '../../src/scale/scale-delta.ts';
import { SCALE_DELTA_VECTORS } from '../vectors/scale.ts';

type Scale = (delta: bigint, mul: number, shift: number) => bigint;

const out = new Uint32Array(2);
const byHalves: Scale = (delta, mul, shift) => {
  scaleDelta32(Number(delta >> 32n), Number(delta & 0xffff_ffffn), mul, shift, out);
  return (BigInt(out[1]!) << 32n) | BigInt(out[0]!);
};

const corner64 = fc.constantFrom(0n, 1n, 0xffff_ffffn, 1n << 32n, 1n << 62n, 1n << 63n, (1n << 64n) - 1n);
const delta = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.tuple(corner64, corner64).map(([a, b]) => BigInt.asUintN(64, a + b)),
  fc.nat({ max: 63 }).map((bit) => 1n << BigInt(bit)),
);
const mul = fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.constantFrom(0, 1, 0x8000_0000, 0xffff, 0xffff_ffff));
const shift = fc.oneof(
  fc.integer({ min: -128, max: 127 }),
  fc.constantFrom(-64, -33, -32, -31, -1, 0, 1, 31, 32, 63, 64),
);

/** Runs the vectors and the comparison with the definition over the whole range; throws where `scale` differs. */
function hold(scale: Scale): void {
  for (const { delta, mul, shift, ns } of SCALE_DELTA_VECTORS) assert.equal(scale(delta, mul, shift), ns);
  for (let s = -128; s <= 127; s++) {
    for (const d of [0x0123_4567_89ab_cdefn, (1n << 64n) - 1n, 0x8000_0000_8000_0001n]) {
      assert.equal(scale(d, 0xcccc_cccc, s), scaleDelta(d, 0xcccc_cccc, s), `shift ${s}`);
    }
  }
  fc.assert(
    fc.property(delta, mul, shift, (d, m, s) => assert.equal(scale(d, m, s), scaleDelta(d, m, s))),
    { numRuns: 20_000 },
  );
}

describe('scaleDelta()', () => {
  for (const { delta, mul, shift, ns } of SCALE_DELTA_VECTORS) {
    test(`scaleDelta(${delta}, ${mul}, ${shift}) is ${ns}`, () => assert.equal(scaleDelta(delta, mul, shift), ns));
  }

  test('scaleDelta() drops the bits that a left shift pushes past 63', () => {
    assert.equal(scaleDelta(0xff00_0000_0000_0001n, 0x8000_0000, 8), 0x80n);
  });

  test('scaleDelta() keeps the low 64 bits of a 96-bit product', () => {
    fc.assert(
      fc.property(delta, mul, (d, m) =>
        assert.equal(scaleDelta(d, m, 0), ((d * BigInt(m)) >> 32n) & ((1n << 64n) - 1n)),
      ),
    );
  });

  test('scaleDelta() gives a huge number for a TSC one cycle behind the timestamp', () => {
    assert.equal(scaleDelta(BigInt.asUintN(64, 999n - 1000n), 0x8000_0000, 0), 0x7fff_ffff_ffff_ffffn);
  });

  test('scaleDelta() leaves nothing of a delta shifted by 64 or more either way', () => {
    for (const s of [-128, -65, -64, 64, 65, 127]) assert.equal(scaleDelta((1n << 64n) - 1n, 0xffff_ffff, s), 0n);
  });

  test('scaleDelta() adds up: a longer delta never gives fewer nanoseconds where the shift drops no bits', () => {
    const small = fc.bigInt({ min: 0n, max: (1n << 48n) - 1n });
    fc.assert(
      fc.property(small, small, mul, fc.integer({ min: -48, max: 15 }), (a, b, m, s) => {
        const [first, second] = a < b ? [a, b] : [b, a];
        assert.ok(scaleDelta(first, m, s) <= scaleDelta(second, m, s));
      }),
    );
  });
});

describe('scaleDelta32()', () => {
  test('scaleDelta32() equals scaleDelta() over every delta, mul and shift', () => hold(byHalves));

  test('scaleDelta32() takes words that were left signed', () => {
    scaleDelta32(-1, -1, 0xffff_ffff, 0, out);
    assert.deepEqual([...out], [0xffff_ffff, 0xffff_fffe]);
  });

  const broken: Record<string, Scale> = {
    'keeps the bits that a left shift drops': (d, m, s) =>
      s < 0 ? scaleDelta(d, m, s) : BigInt.asUintN(64, ((d << BigInt(s)) * BigInt(m)) >> 32n),
    'takes a delta with bit 63 for a negative one': (d, m, s) =>
      BigInt.asUintN(64, scaleSigned(BigInt.asIntN(64, d), m, s)),
    'multiplies in doubles': (d, m, s) =>
      BigInt.asUintN(
        64,
        BigInt(Math.floor((Number(s < 0 ? d >> BigInt(-s) : BigInt.asUintN(64, d << BigInt(s))) * m) / 2 ** 32)),
      ),
    'takes the shift modulo 64, as x86 does': (d, m, s) => scaleDelta(d, m, s < 0 ? -(-s & 63) : s & 63),
    'takes the shift for unsigned': (d, m, s) => scaleDelta(d, m, s & 0xff),
    'loses the carry between the halves': (d, m, s) => {
      const shifted = s < 0 ? d >> BigInt(-s) : BigInt.asUintN(64, d << BigInt(s));
      const high = (shifted >> 32n) * BigInt(m);
      const low = ((shifted & 0xffff_ffffn) * BigInt(m)) >> 32n;
      return BigInt.asUintN(64, (high & ~0xffff_ffffn) | ((high + low) & 0xffff_ffffn));
    },
  };
  for (const [fault, scale] of Object.entries(broken)) {
    test(`the comparison catches a version that ${fault}`, () => assert.throws(() => hold(scale)));
  }
});

function scaleSigned(delta: bigint, mul: number, shift: number): bigint {
  const shifted = shift < 0 ? delta >> BigInt(-shift) : BigInt.asIntN(64, delta << BigInt(shift));
  return (shifted * BigInt(mul)) >> 32n;
}
