import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  eax,
  ecx,
  type Label,
  type Memory,
  mem,
  r8d,
  r12,
  rax,
  rbx,
  rcx,
  rdi,
  ripMem,
  rsi,
  rsp,
} from '../../src/vdso/operands.ts';
import { Assembler, type Condition } from '../../src/vdso/x86.ts';
import { decodeAll } from './decode.ts';

const MIN_S32 = -(2 ** 31);

function textsOf(emit: (a: Assembler) => void): string[] {
  const a = new Assembler();
  emit(a);
  return decodeAll(a.finish()).map(({ text }) => text);
}

describe('labels', () => {
  test('a jump goes to where its label is bound, before or behind it', () => {
    const texts = textsOf((a) => {
      const [back, on] = [a.label('back'), a.label('on')];
      a.bind(back);
      a.jmp(on);
      a.call(back);
      a.jcc('ne', back);
      a.bind(on);
      a.ret();
    });
    assert.deepEqual(texts, ['jmp 16', 'call 0', 'jne 0', 'ret']);
  });

  const conditions: Condition[] = ['b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'l', 'ge', 'le', 'g'];
  for (const condition of conditions) {
    test(`jcc('${condition}') is j${condition}`, () => {
      const texts = textsOf((a) => {
        const here = a.label('here');
        a.bind(here);
        a.jcc(condition, here);
      });
      assert.deepEqual(texts, [`j${condition} 0`]);
    });
  }

  const atData = (emit: (a: Assembler, at: Memory) => void) =>
    textsOf((a) => {
      const data: Label = a.label('data');
      emit(a, ripMem(data, 8));
      data.at = 4096;
    })[0];

  test('a displacement from rip counts from the end of the instruction, over the immediate behind it', () => {
    assert.equal(
      atData((a, at) => a.mov(rax, at)),
      'mov rax, [rel 4104]',
    );
    assert.equal(
      atData((a, at) => a.mov(at, r12)),
      'mov [rel 4104], r12',
    );
    assert.equal(
      atData((a, at) => a.cmpByte(at, 1)),
      'cmp byte [rel 4104], 1',
    );
    assert.equal(
      atData((a, at) => a.testByte(at, 2)),
      'test byte [rel 4104], 2',
    );
    assert.equal(
      atData((a, at) => a.movByte(at, ecx)),
      'mov [rel 4104], cl',
    );
    assert.equal(
      atData((a, at) => a.aluImmediate('add', at, 3)),
      'add dword [rel 4104], 3',
    );
    assert.equal(
      atData((a, at) => a.aluImmediate('add', at, 300, 64)),
      'add qword [rel 4104], 300',
    );
    assert.equal(
      atData((a, at) => a.imulImmediate(rax, at, 5)),
      'imul rax, [rel 4104], 5',
    );
    assert.equal(
      atData((a, at) => a.lea(rdi, at)),
      'lea rdi, [rel 4104]',
    );
  });

  test('align() fills up with NOPs, to the boundary and no further', () => {
    const a = new Assembler();
    a.align(16);
    assert.equal(a.length, 0);
    a.ret();
    a.align(16);
    a.align(16);
    assert.deepEqual([...a.finish()], [0xc3, ...Array<number>(15).fill(0x90)]);
  });

  test('bind() refuses a second time, finish() a label that was never bound or lies too far off', () => {
    const a = new Assembler();
    const [twice, never, far] = [a.label('twice'), a.label('never'), a.label('far')];
    a.bind(twice);
    assert.throws(() => a.bind(twice), { message: 'label twice is bound twice' });
    a.jmp(never);
    assert.throws(() => a.finish(), { message: 'label never is never bound' });
    never.at = 0;
    a.mov(rax, ripMem(far));
    const end = a.length;
    for (const [last, beyond] of [
      [2 ** 31 - 1 + end, 2 ** 31 + end],
      [MIN_S32 + end, MIN_S32 + end - 1],
    ] as const) {
      far.at = last;
      a.finish();
      far.at = beyond;
      assert.throws(() => a.finish(), RangeError);
    }
  });
});

describe('the encoder refuses', () => {
  const refused: Record<string, [what: RegExp, emit: (a: Assembler) => void]> = {
    'mov from memory to memory': [/no memory to memory/, (a) => a.mov(mem(rax), mem(rcx))],
    'add from memory to memory': [/no memory to memory/, (a) => a.alu('add', mem(rax), mem(rcx))],
    'registers of two sizes': [/rcx and eax: registers of two sizes/, (a) => a.mov(eax, rcx)],
    'a 32-bit register as a base': [/eax is no 64-bit register/, (a) => a.mov(rax, mem(eax))],
    'a 32-bit register as an index': [
      /ecx is no 64-bit/,
      (a) => a.lea(rax, { base: rax, index: ecx, displacement: 0 }),
    ],
    'rsp as an index': [/rsp cannot be an index/, (a) => a.lea(rax, { base: rax, index: rsp, displacement: 0 })],
    'an index alone': [/needs a base/, (a) => a.lea(rax, { index: rcx, displacement: 0 })],
    'rip with a base': [/rip takes no base/, (a) => a.lea(rax, { ...ripMem(a.label('data')), base: rbx })],
    'a displacement of 2^31': [/displacement must be/, (a) => a.mov(rax, mem(rcx, 2 ** 31))],
    'a displacement with a fraction': [/displacement must be/, (a) => a.mov(rax, mem(rcx, 0.5))],
    'mov r32 of 2^32': [/mov: immediate must be/, (a) => a.movImmediate(eax, 2 ** 32)],
    'mov r32 below -2^31': [/mov: immediate must be/, (a) => a.movImmediate(eax, MIN_S32 - 1)],
    'mov r64 of 2^31, which would be sign-extended': [/mov: immediate must/, (a) => a.movImmediate(rax, 2 ** 31)],
    'add of 2^31': [/add: immediate must be/, (a) => a.aluImmediate('add', rax, 2 ** 31)],
    'and with a fraction': [/and: immediate must be/, (a) => a.aluImmediate('and', rax, 1.5)],
    'imul by 2^31': [/imul: immediate must be/, (a) => a.imulImmediate(rax, rax, 2 ** 31)],
    'test of a byte with 256': [/test byte: immediate must be/, (a) => a.testByte(mem(rax), 256)],
    'cmp of a byte with -129': [/cmp byte: immediate must be/, (a) => a.cmpByte(mem(rax), -129)],
    'shl by 64': [/shl: count must be an integer 0..63, got 64/, (a) => a.shlImmediate(rax, 64)],
    'shr of 32 bits by 32': [/shr: count must be an integer 0..31, got 32/, (a) => a.shrImmediate(eax, 32)],
    'shrd by -1': [/shrd: count must be/, (a) => a.shrd(rax, rcx, -1)],
    'a byte of rsi': [/rsi has no plain low byte/, (a) => a.movByte(mem(rax), rsi)],
    'push of 32 bits': [/push: r8d is no 64-bit register/, (a) => a.push(r8d)],
    'pop of 32 bits': [/pop: eax is no 64-bit register/, (a) => a.pop(eax)],
    'call of 32 bits': [/call: eax is no 64-bit register/, (a) => a.call(eax)],
    'a double of 32 bits': [/cvtsi2sd: eax is no 64-bit register/, (a) => a.cvtsi2sd(eax)],
  };
  for (const [what, [message, emit]] of Object.entries(refused)) {
    test(what, () => {
      const a = new Assembler();
      assert.throws(() => emit(a), message);
      assert.equal(a.length, 0);
    });
  }
});
