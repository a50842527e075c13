import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc, { type Arbitrary } from 'fast-check';
import type { Memory, Register } from '../../src/vdso/operands.ts';
import * as operands from '../../src/vdso/operands.ts';
import { Assembler } from '../../src/vdso/x86.ts';
import { type DecodedOperand, decodeAll } from './decode.ts';

const MAX_S32 = 2 ** 31 - 1;
const MIN_S32 = -(2 ** 31);
const isRegister = (value: unknown): value is Register =>
  typeof value === 'object' && value !== null && 'bits' in value;
const all = Object.values(operands).filter(isRegister);
const wide = fc.constantFrom(...all.filter(({ bits }) => bits === 64));
const narrow = fc.constantFrom(...all.filter(({ bits }) => bits === 32));
const s32 = fc.oneof(
  fc.integer({ min: MIN_S32, max: MAX_S32 }),
  fc.constantFrom(0, 1, -1, 127, 128, -128, -129, MAX_S32, MIN_S32),
);
const memory: Arbitrary<Memory> = fc
  .record({ base: wide, index: fc.option(wide.filter(({ code }) => code !== 4)), displacement: s32 })
  .map(({ base, index, displacement }) => (index === null ? { base, displacement } : { base, index, displacement }));

const ofRegister = ({ code, bits }: Register): DecodedOperand => ({ kind: 'register', code, bits });
const ofMemory = ({ base, index, displacement }: Memory, bits: number): DecodedOperand => ({
  kind: 'memory',
  ...(base && { base: base.code }),
  ...(index && { index: index.code }),
  displacement: BigInt(displacement),
  bits,
});
const ofImmediate = (value: number): DecodedOperand => ({ kind: 'immediate', value: BigInt(value) });

/** One instruction and what a decoder must find in it. */
type Sample = [mnemonic: string, found: DecodedOperand[], emit: (a: Assembler) => void];

const pair = fc.constantFrom(wide, narrow).chain((size) => fc.tuple(size, size));
const operation = fc.constantFrom('add', 'adc', 'or', 'and', 'sub', 'xor', 'cmp');
const either = fc.oneof(wide, narrow);
const samples: Arbitrary<Sample> = fc.oneof(
  pair.map(([to, from]): Sample => ['mov', [to, from].map(ofRegister), (a) => a.mov(to, from)]),
  fc
    .tuple(either, memory)
    .map(([to, at]): Sample => ['mov', [ofRegister(to), ofMemory(at, to.bits)], (a) => a.mov(to, at)]),
  fc
    .tuple(either, memory)
    .map(([from, at]): Sample => ['mov', [ofMemory(at, from.bits), ofRegister(from)], (a) => a.mov(at, from)]),
  fc
    .tuple(either, s32)
    .map(([to, value]): Sample => ['mov', [ofRegister(to), ofImmediate(value)], (a) => a.movImmediate(to, value)]),
  fc.tuple(either, memory).map(([to, at]): Sample => ['lea', [ofRegister(to), ofMemory(at, 0)], (a) => a.lea(to, at)]),
  fc
    .tuple(narrow, memory)
    .map(([to, at]): Sample => ['movzx', [ofRegister(to), ofMemory(at, 8)], (a) => a.movzxByte(to, at)]),
  fc
    .tuple(narrow, memory)
    .map(([to, at]): Sample => ['movsx', [ofRegister(to), ofMemory(at, 8)], (a) => a.movsxByte(to, at)]),
  fc
    .tuple(operation, pair)
    .map(([name, [to, from]]): Sample => [name, [to, from].map(ofRegister), (a) => a.alu(name, to, from)]),
  fc
    .tuple(operation, either, memory)
    .map(([name, to, at]): Sample => [name, [ofRegister(to), ofMemory(at, to.bits)], (a) => a.alu(name, to, at)]),
  fc
    .tuple(operation, either, memory)
    .map(
      ([name, from, at]): Sample => [name, [ofMemory(at, from.bits), ofRegister(from)], (a) => a.alu(name, at, from)],
    ),
  fc
    .tuple(operation, either, s32)
    .map(
      ([name, to, value]): Sample => [
        name,
        [ofRegister(to), ofImmediate(value)],
        (a) => a.aluImmediate(name, to, value),
      ],
    ),
  fc
    .tuple(operation, memory, s32, fc.constantFrom(32 as const, 64 as const))
    .map(
      ([name, at, value, bits]): Sample => [
        name,
        [ofMemory(at, bits), ofImmediate(value)],
        (a) => a.aluImmediate(name, at, value, bits),
      ],
    ),
  fc
    .tuple(pair, s32)
    .map(
      ([[to, from], value]): Sample => [
        'imul',
        [ofRegister(to), ofRegister(from), ofImmediate(value)],
        (a) => a.imulImmediate(to, from, value),
      ],
    ),
  fc
    .tuple(wide, wide, fc.nat({ max: 63 }))
    .map(
      ([to, from, count]): Sample => [
        'shrd',
        [ofRegister(to), ofRegister(from), ofImmediate(count)],
        (a) => a.shrd(to, from, count),
      ],
    ),
  either.map((to): Sample => ['neg', [ofRegister(to)], (a) => a.neg(to)]),
  either.map((by): Sample => ['mul', [ofRegister(by)], (a) => a.mul(by)]),
  wide.map((register): Sample => ['push', [ofRegister(register)], (a) => a.push(register)]),
  fc
    .tuple(wide, memory)
    .map(([from, at]): Sample => ['cmpxchg', [ofMemory(at, 64), ofRegister(from)], (a) => a.lockCmpxchg(at, from)]),
);

/** What went in and what came out of a sequence of instructions, patched or not between the two. */
function hold(some: readonly Sample[], patch: (code: Uint8Array) => void = () => {}): void {
  const a = new Assembler();
  for (const [, , emit] of some) emit(a);
  const code = a.finish();
  patch(code);
  const decoded = decodeAll(code).map(({ mnemonic, operands: found }) => [mnemonic, found]);
  assert.deepEqual(
    decoded,
    some.map(([mnemonic, found]) => [mnemonic, found]),
  );
}

const sequences = fc.array(samples, { minLength: 1, maxLength: 8 });

test('random operands come out of a decoder as they went into the encoder, one instruction after the other', () => {
  fc.assert(
    fc.property(sequences, (some) => hold(some)),
    { numRuns: 3000 },
  );
});

const REX_B = 1;
const broken: Record<string, (code: Uint8Array) => void> = {
  'forgets the REX prefix of r8 to r15': (code) => {
    if ((code[0]! & 0xf0) === 0x40) code[0]! &= ~REX_B;
  },
  'takes the other operand for the destination': (code) => {
    if (code[1] === 0x89 || code[1] === 0x8b) code[1] ^= 2;
  },
  'writes a last byte that is off by one': (code) => {
    code[code.length - 1]!++;
  },
};
for (const [fault, patch] of Object.entries(broken)) {
  test(`the comparison catches an encoder that ${fault}`, () => {
    assert.throws(() =>
      fc.assert(
        fc.property(sequences, (some) => hold(some, patch)),
        { numRuns: 3000 },
      ),
    );
  });
}
