/**
 * Runs emitted code, instruction by instruction as iced-x86 decodes it: sixteen registers, the flags, xmm0 as a double. The
 * stack and the image's own words are its own; every other access, the TSC, LSL, CPUID, SYSCALL and the fences are asked
 * of a Platform. What the architecture leaves undefined is poison: flags after MUL, registers that a call may spoil.
 */
import type { Image } from '../../src/vdso/image.ts';
import { type Decoded, type DecodedOperand, decodeAll } from './decode.ts';
import { execute, type Flags, POISON, RAX, RBX, RCX, RDI, RDX, RSI, RSP } from './semantics.ts';

export interface Platform {
  load(address: bigint, bits: number): bigint;
  store(address: bigint, bits: number, value: bigint): void;
  /** RDTSC; `ordered`: right behind an LFENCE. */
  tsc(order: 'ordered' | 'plain'): bigint;
  rdtscp(): bigint;
  /** An LFENCE that no RDTSC follows. */
  fence(): void;
  segmentLimit(selector: number): number;
  /** EDX of a leaf. */
  cpuid(leaf: number, subleaf: number): number;
  /** Number and arguments are in the emulator's registers; returns rax. */
  syscall(emulator: Emulator): bigint;
  pause(): void;
}

const MOST_STEPS = 5_000;
const LOADED_AT = 0x7f00_0000_0000n;
const RETURN_TO = 0xdead_0000n;
const STACK_AT = 0x7ffe_0000_0000n;
const STACK_BYTES = 4096;
const RED_ZONE_BYTES = 128n;

const KEPT = [RBX, 5, 12, 13, 14, 15]; // by the callee

export class Emulator {
  readonly registers = new BigUint64Array(16);
  xmm0 = Number.NaN;
  /** Undefined where the architecture leaves them so. */
  flags: Flags | undefined;
  /** Address of the next instruction. */
  rip = 0n;
  readonly dataAt: bigint;
  readonly platform: Platform;
  /** Functions outside the image, by address: each returns rax. */
  readonly externals = new Map<bigint, (emulator: Emulator) => bigint>();
  readonly #instructions: ReadonlyMap<bigint, Decoded>;
  readonly #symbols: ReadonlyMap<string, bigint>;
  readonly #own: readonly { readonly at: bigint; readonly view: DataView }[];
  #fenced = false;

  /** `instructions`: of the image's code at the address that `load` gives; patched ones may be handed in. */
  constructor(image: Image, platform: Platform, instructions: ReadonlyMap<bigint, Decoded> = load(image)) {
    this.platform = platform;
    this.#instructions = instructions;
    this.dataAt = LOADED_AT + BigInt(image.dataAt);
    const codeAt = LOADED_AT + BigInt(image.codeAt);
    this.#symbols = new Map(image.symbols.map(({ name, at }) => [name, codeAt + BigInt(at)]));
    const own = (at: bigint, bytes: number) => ({ at, view: new DataView(new ArrayBuffer(bytes)) });
    const stack = own(STACK_AT, STACK_BYTES);
    new Uint8Array(stack.view.buffer).fill(0xa5);
    this.#own = [stack, own(this.dataAt, image.dataBytes)];
  }

  /** Calls a function as C does; returns rax. Throws where it breaks the calling convention. */
  call(symbol: string, first = POISON, second = POISON, third = POISON): bigint {
    const { registers } = this;
    registers.fill(POISON);
    KEPT.forEach((register, index) => {
      registers[register] = POISON + BigInt(index);
    });
    registers[RDI] = first;
    registers[RSI] = second;
    registers[RDX] = third;
    const top = STACK_AT + BigInt(STACK_BYTES - 8); // 8 short of a multiple of 16, as after a call
    registers[RSP] = top;
    this.store(top, 64, RETURN_TO);
    this.flags = undefined;
    this.#run(this.#symbols.get(symbol)!);
    if (registers[RSP] !== top + 8n) throw new Error(`${symbol} moved the stack`);
    KEPT.forEach((register, index) => {
      if (registers[register] !== POISON + BigInt(index)) throw new Error(`${symbol} spoilt register ${register}`);
    });
    return registers[RAX]!;
  }

  load(address: bigint, bits: number): bigint {
    const own = this.#ownAt(address, bits);
    if (own === undefined) return this.platform.load(address, bits);
    const { view, at } = own;
    if (bits === 8) return BigInt(view.getUint8(at));
    return bits === 32 ? BigInt(view.getUint32(at, true)) : view.getBigUint64(at, true);
  }

  store(address: bigint, bits: number, value: bigint): void {
    const own = this.#ownAt(address, bits);
    if (own === undefined) this.platform.store(address, bits, BigInt.asUintN(bits, value));
    else if (bits === 8) own.view.setUint8(own.at, Number(value & 0xffn));
    else if (bits === 32) own.view.setUint32(own.at, Number(value & 0xffff_ffffn), true);
    else own.view.setBigUint64(own.at, value, true);
  }

  #ownAt(address: bigint, bits: number): { view: DataView; at: number } | undefined {
    for (const { at, view } of this.#own) {
      if (address < at || address >= at + BigInt(view.byteLength)) continue;
      if (at === STACK_AT && address < this.registers[RSP]! - RED_ZONE_BYTES)
        throw new Error('access below the red zone');
      if (address + BigInt(bits / 8) > at + BigInt(view.byteLength)) throw new Error('access beyond its end');
      return { view, at: Number(address - at) };
    }
    return undefined;
  }

  #run(entry: bigint): void {
    this.rip = entry;
    for (let steps = 0; this.rip !== RETURN_TO; steps++) {
      if (steps > MOST_STEPS) throw new Error(`still running after ${steps} instructions`);
      const external = this.externals.get(this.rip);
      if (external !== undefined) {
        this.#callExternal(external);
        continue;
      }
      const instruction = this.#instructions.get(this.rip);
      if (instruction === undefined) throw new Error(`no instruction at ${this.rip.toString(16)}`);
      this.rip = instruction.next;
      if (this.#fenced && instruction.mnemonic !== 'rdtsc') this.platform.fence();
      execute(this, instruction, this.#fenced);
      this.#fenced = instruction.mnemonic === 'lfence';
    }
  }

  #callExternal(external: (emulator: Emulator) => bigint): void {
    if (this.registers[RSP]! % 16n !== 8n) throw new Error('the stack is not aligned at a call');
    const answer = external(this);
    for (const register of [RCX, RDX, RSI, RDI, 8, 9, 10, 11]) this.registers[register] = POISON;
    this.flags = undefined;
    this.registers[RAX] = answer;
    this.rip = this.pop();
  }

  pop(): bigint {
    const value = this.load(this.registers[RSP]!, 64);
    this.registers[RSP] = this.registers[RSP]! + 8n;
    return value;
  }

  push(value: bigint): void {
    this.registers[RSP] = this.registers[RSP]! - 8n;
    this.store(this.registers[RSP]!, 64, value);
  }

  addressOf(operand: DecodedOperand): bigint {
    if (operand.kind !== 'memory') throw new Error(`no memory: ${operand.kind}`);
    if (operand.address !== undefined) return operand.address;
    const base = operand.base === undefined ? 0n : this.registers[operand.base]!;
    const index = operand.index === undefined ? 0n : this.registers[operand.index]!;
    return BigInt.asUintN(64, base + index + operand.displacement);
  }

  read(operand: DecodedOperand): bigint {
    if (operand.kind === 'register') return BigInt.asUintN(operand.bits, this.registers[operand.code]!);
    if (operand.kind === 'immediate') return operand.value;
    const address = this.addressOf(operand);
    return this.load(address, (operand as DecodedOperand & { kind: 'memory' }).bits);
  }

  write(operand: DecodedOperand, value: bigint): void {
    if (operand.kind === 'memory') this.store(this.addressOf(operand), operand.bits, value);
    else if (operand.kind !== 'register' || operand.bits < 32) throw new Error('cannot be written here');
    else this.registers[operand.code] = BigInt.asUintN(operand.bits, value); // a 32-bit result clears the high half
  }
}

/** The image's instructions by the address that they run at. `code`: other bytes in place of its own. */
export function load(image: Image, code = codeOf(image)): ReadonlyMap<bigint, Decoded> {
  return new Map(decodeAll(code, LOADED_AT + BigInt(image.codeAt)).map((instruction) => [instruction.at, instruction]));
}

/** The bytes of the image's .text. */
export function codeOf({ file, codeAt, symbols }: Image): Uint8Array {
  const { at, bytes } = symbols.at(-1)!;
  return file.slice(codeAt, codeAt + at + bytes);
}
