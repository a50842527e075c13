/**
 * How x86-64 instructions become bytes: REX prefix, opcode, ModRM, SIB, displacement; and labels, resolved at the end.
 */
import { isRegister, type Label, type Memory, type Operand, type Register } from './operands.ts';

interface Fixup {
  readonly at: number;
  readonly label: Label;
  /** Where the instruction ends, relative to the four bytes: the displacement counts from there. */
  readonly trailing: number;
  readonly addend: number;
}

export class Encoder {
  #bytes: number[] = [];
  #fixups: Fixup[] = [];

  get length(): number {
    return this.#bytes.length;
  }

  label(name: string): Label {
    return { name, at: undefined };
  }

  /** Binds `label` to the next byte. */
  bind(label: Label): void {
    if (label.at !== undefined) throw new Error(`label ${label.name} is bound twice`);
    label.at = this.length;
  }

  /** The code, with every label resolved. A label outside the code (in the data) must have been given its `at` by then. */
  finish(): Uint8Array {
    const code = Uint8Array.from(this.#bytes);
    const view = new DataView(code.buffer);
    for (const { at, label, trailing, addend } of this.#fixups) {
      if (label.at === undefined) throw new Error(`label ${label.name} is never bound`);
      const distance = label.at + addend - (at + 4 + trailing);
      checkRange(`label ${label.name}: distance`, distance, -(2 ** 31), 2 ** 31 - 1);
      view.setInt32(at, distance, true);
    }
    return code;
  }

  /** Pads with one-byte NOPs up to a multiple of `boundary`. */
  align(boundary: number): void {
    while (this.length % boundary !== 0) this.emit(0x90);
  }

  protected emit(...bytes: number[]): void {
    this.#bytes.push(...bytes);
  }

  protected emit32(value: number): void {
    this.emit(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff);
  }

  protected relative(label: Label): void {
    this.#fixups.push({ at: this.length, label, trailing: 0, addend: 0 });
    this.emit32(0);
  }

  /** `trailing`: bytes of immediate that follow, which a rip-relative displacement must count over. */
  protected modrm(opcode: number[], register: Register, other: Operand, trailing = 0): void {
    if (isRegister(other) && other.bits !== register.bits) {
      throw new Error(`${register.name} and ${other.name}: registers of two sizes`);
    }
    this.#encode(opcode, register.code, other, trailing, register.bits === 64);
  }

  protected modrmDigit(
    opcode: number[],
    digit: number,
    other: Operand,
    trailing = 0,
    bits = isRegister(other) ? other.bits : 32,
  ): void {
    this.#encode(opcode, digit, other, trailing, bits === 64);
  }

  #encode(opcode: number[], field: number, other: Operand, trailing: number, wide: boolean): void {
    if (!isRegister(other)) checkMemory(other);
    const base = isRegister(other) ? other : other.base;
    const index = isRegister(other) ? undefined : other.index;
    const rex =
      (wide ? 8 : 0) | (field >= 8 ? 4 : 0) | ((index?.code ?? 0) >= 8 ? 2 : 0) | ((base?.code ?? 0) >= 8 ? 1 : 0);
    if (rex !== 0) this.emit(0x40 | rex);
    this.emit(...opcode);
    const reg = (field & 7) << 3;
    if (isRegister(other)) this.emit(0xc0 | reg | (other.code & 7));
    else this.#address(other, reg, trailing);
  }

  #address(memory: Memory, reg: number, trailing: number): void {
    const { base, index, displacement, label } = memory;
    if (label !== undefined) {
      this.emit(reg | 5);
      this.#fixups.push({ at: this.length, label, trailing, addend: displacement });
      this.emit32(0);
      return;
    }
    const low = base!.code & 7;
    const needsSib = index !== undefined || low === 4; // rsp and r12 only stand in a SIB
    const mod = displacement === 0 && low !== 5 ? 0 : displacement >= -128 && displacement <= 127 ? 0x40 : 0x80;
    this.emit(mod | reg | (needsSib ? 4 : low));
    if (needsSib) this.emit(index === undefined ? 0x20 | low : ((index.code & 7) << 3) | low);
    if (mod === 0x40) this.emit(displacement & 0xff);
    else if (mod === 0x80) this.emit32(displacement);
  }
}

/** Throws RangeError where `value` is not an integer in low..high. */
export function checkRange(what: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new RangeError(`${what} must be an integer ${low}..${high}, got ${value}`);
  }
}

function checkMemory({ base, index, displacement, label }: Memory): void {
  checkRange('displacement', displacement, -(2 ** 31), 2 ** 31 - 1);
  if (label !== undefined && (base ?? index) !== undefined) throw new Error('memory: rip takes no base and no index');
  if (label === undefined && base === undefined) throw new Error('memory: needs a base or a label');
  for (const register of [base, index]) {
    if (register?.bits === 32) throw new Error(`memory: ${register.name} is no 64-bit register`);
  }
  if (index?.code === 4) throw new Error('memory: rsp cannot be an index');
}
