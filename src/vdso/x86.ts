/**
 * An x86-64 encoder for the instructions that the image needs, and no others: one method an instruction, Intel operand
 * order, labels resolved at the end. It refuses what it cannot encode; it never picks another instruction instead.
 */

import { checkRange, Encoder } from './encoding.ts';
import { isRegister, type Label, type Memory, type Operand, type Register, rax } from './operands.ts';

/** Condition codes of jcc, by their low four bits. */
const CONDITION = { b: 2, ae: 3, e: 4, ne: 5, be: 6, a: 7, s: 8, ns: 9, l: 12, ge: 13, le: 14, g: 15 } as const;
export type Condition = keyof typeof CONDITION;

/** The classic operations, by the number that their opcodes share. */
const ALU = { add: 0, or: 1, adc: 2, and: 4, sub: 5, xor: 6, cmp: 7 } as const;
export type AluOperation = keyof typeof ALU;

export class Assembler extends Encoder {
  mov(to: Operand, from: Operand): void {
    if (isRegister(from)) this.modrm([0x89], from, to);
    else if (isRegister(to)) this.modrm([0x8b], to, from);
    else throw new Error('mov: no memory to memory');
  }

  /** mov r32, imm32 (zero-extended) or mov r64, imm32 (sign-extended). */
  movImmediate(to: Register, value: number): void {
    if (to.bits === 64) {
      checkRange('mov: immediate', value, -(2 ** 31), 2 ** 31 - 1);
      this.modrmDigit([0xc7], 0, to, 4);
    } else {
      checkRange('mov: immediate', value, -(2 ** 31), 2 ** 32 - 1);
      if (to.code >= 8) this.emit(0x41);
      this.emit(0xb8 + (to.code & 7));
    }
    this.emit32(value);
  }

  /** movzx r32, byte [memory]. */
  movzxByte(to: Register, from: Memory): void {
    this.modrm([0x0f, 0xb6], to, from);
  }

  /** movsx r32, byte [memory]. */
  movsxByte(to: Register, from: Memory): void {
    this.modrm([0x0f, 0xbe], to, from);
  }

  lea(to: Register, from: Memory): void {
    this.modrm([0x8d], to, from);
  }

  alu(operation: AluOperation, to: Operand, from: Operand): void {
    const opcode = ALU[operation] << 3;
    if (isRegister(from)) this.modrm([opcode | 1], from, to);
    else if (isRegister(to)) this.modrm([opcode | 3], to, from);
    else throw new Error(`${operation}: no memory to memory`);
  }

  aluImmediate(
    operation: AluOperation,
    to: Operand,
    value: number,
    bits: 32 | 64 = isRegister(to) ? to.bits : 32,
  ): void {
    const short = value >= -128 && value <= 127;
    checkRange(`${operation}: immediate`, value, -(2 ** 31), 2 ** 31 - 1);
    this.modrmDigit([short ? 0x83 : 0x81], ALU[operation], to, short ? 1 : 4, bits);
    if (short) this.emit(value & 0xff);
    else this.emit32(value);
  }

  test(a: Register, b: Register): void {
    this.modrm([0x85], b, a);
  }

  /** test byte [memory], imm8. */
  testByte(at: Memory, mask: number): void {
    checkRange('test byte: immediate', mask, -128, 255);
    this.modrmDigit([0xf6], 0, at, 1, 32);
    this.emit(mask & 0xff);
  }

  /** cmp byte [memory], imm8. */
  cmpByte(at: Memory, value: number): void {
    checkRange('cmp byte: immediate', value, -128, 255);
    this.modrmDigit([0x80], 7, at, 1, 32);
    this.emit(value & 0xff);
  }

  /** mov byte [memory], r8 (al, cl, dl or bl). */
  movByte(to: Memory, from: Register): void {
    if (from.code > 3) throw new Error(`mov byte: ${from.name} has no plain low byte here`);
    this.modrm([0x88], { ...from, bits: 32 }, to);
  }

  shlImmediate(to: Register, count: number): void {
    checkRange('shl: count', count, 0, to.bits - 1);
    this.modrmDigit([0xc1], 4, to, 1);
    this.emit(count);
  }

  shrImmediate(to: Register, count: number): void {
    checkRange('shr: count', count, 0, to.bits - 1);
    this.modrmDigit([0xc1], 5, to, 1);
    this.emit(count);
  }

  /** Shift by cl, of which the processor takes the low six bits (five for 32-bit registers). */
  shlCl(to: Register): void {
    this.modrmDigit([0xd3], 4, to);
  }

  shrCl(to: Register): void {
    this.modrmDigit([0xd3], 5, to);
  }

  /** shrd to, from, count: shifts `to` right and fills it from the low bits of `from`. */
  shrd(to: Register, from: Register, count: number): void {
    checkRange('shrd: count', count, 0, to.bits - 1);
    this.modrm([0x0f, 0xac], from, to);
    this.emit(count);
  }

  /** The same by cl, of which the processor takes the low six bits (five for 32-bit registers). */
  shrdCl(to: Register, from: Register): void {
    this.modrm([0x0f, 0xad], from, to);
  }

  neg(to: Register): void {
    this.modrmDigit([0xf7], 3, to);
  }

  /** rdx:rax = rax * by (edx:eax for a 32-bit register). */
  mul(by: Operand, bits: 32 | 64 = isRegister(by) ? by.bits : 64): void {
    this.modrmDigit([0xf7], 4, by, 0, bits);
  }

  /** imul r, r or [memory], imm32 (sign-extended). */
  imulImmediate(to: Register, from: Operand, value: number): void {
    checkRange('imul: immediate', value, -(2 ** 31), 2 ** 31 - 1);
    this.modrm([0x69], to, from, 4);
    this.emit32(value);
  }

  div(by: Register): void {
    this.modrmDigit([0xf7], 6, by);
  }

  push(register: Register): void {
    check64('push', register);
    if (register.code >= 8) this.emit(0x41);
    this.emit(0x50 + (register.code & 7));
  }

  pop(register: Register): void {
    check64('pop', register);
    if (register.code >= 8) this.emit(0x41);
    this.emit(0x58 + (register.code & 7));
  }

  jmp(to: Label): void {
    this.emit(0xe9);
    this.relative(to);
  }

  jcc(condition: Condition, to: Label): void {
    this.emit(0x0f, 0x80 | CONDITION[condition]);
    this.relative(to);
  }

  call(to: Label | Register): void {
    if ('bits' in to) {
      check64('call', to);
      this.modrmDigit([0xff], 2, { ...to, bits: 32 });
    } else {
      this.emit(0xe8);
      this.relative(to);
    }
  }

  /** lock cmpxchg [memory], r: if rax is what is there, stores r and sets ZF; else rax = what is there. */
  lockCmpxchg(at: Memory, desired: Register): void {
    this.emit(0xf0);
    this.modrm([0x0f, 0xb1], desired, at);
  }

  /** xchg [memory], r: atomic without a prefix. */
  xchg(at: Memory, register: Register): void {
    this.modrm([0x87], register, at);
  }

  /** lsl r32, r32: the limit of the segment that a selector names. */
  lsl(to: Register, selector: Register): void {
    this.modrm([0x0f, 0x03], to, selector);
  }

  /** cvtsi2sd xmm0, r64: a signed integer to a double. */
  cvtsi2sd(from: Register): void {
    check64('cvtsi2sd', from);
    this.emit(0xf2);
    this.modrm([0x0f, 0x2a], { ...rax, name: 'xmm0' }, from);
  }

  /** addsd xmm0, xmm0. */
  doubleXmm0 = () => this.emit(0xf2, 0x0f, 0x58, 0xc0);
  /** pxor xmm0, xmm0: cuts the false dependency of cvtsi2sd on what xmm0 held. */
  zeroXmm0 = () => this.emit(0x66, 0x0f, 0xef, 0xc0);
  ret = () => this.emit(0xc3);
  rdtsc = () => this.emit(0x0f, 0x31);
  rdtscp = () => this.emit(0x0f, 0x01, 0xf9);
  lfence = () => this.emit(0x0f, 0xae, 0xe8);
  mfence = () => this.emit(0x0f, 0xae, 0xf0);
  pause = () => this.emit(0xf3, 0x90);
  cpuid = () => this.emit(0x0f, 0xa2);
  syscall = () => this.emit(0x0f, 0x05);
  /** out dx, eax / out dx, al. */
  outEax = () => this.emit(0xef);
  outAl = () => this.emit(0xee);
  hlt = () => this.emit(0xf4);
  ud2 = () => this.emit(0x0f, 0x0b);
  wrmsr = () => this.emit(0x0f, 0x30);
  rdmsr = () => this.emit(0x0f, 0x32);
}

function check64(what: string, register: Register): void {
  if (register.bits !== 64) throw new Error(`${what}: ${register.name} is no 64-bit register`);
}
