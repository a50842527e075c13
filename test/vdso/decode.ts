/** What bytes say to a decoder that is not ours: iced-x86. */
import iced, { type Instruction } from 'iced-x86';

const { Decoder, DecoderOptions, Formatter, FormatterSyntax, MemorySize, MemorySizeExt, Mnemonic, OpKind } = iced;
const { Register, RegisterExt } = iced;

export type DecodedOperand =
  | { readonly kind: 'register'; readonly code: number; readonly bits: number }
  /** `address` stands for base and index where it is relative to rip. */
  | {
      readonly kind: 'memory';
      readonly base?: number;
      readonly index?: number;
      readonly displacement: bigint;
      readonly address?: bigint;
      readonly bits: number;
    }
  | { readonly kind: 'immediate'; readonly value: bigint }
  | { readonly kind: 'target'; readonly address: bigint };

export interface Decoded {
  readonly at: bigint;
  readonly next: bigint;
  /** Lower case; `invalid` where the bytes are no instruction. */
  readonly mnemonic: string;
  readonly lock: boolean;
  readonly operands: readonly DecodedOperand[];
  /** In Intel's order, numbers decimal. */
  readonly text: string;
}

const formatter = new Formatter(FormatterSyntax.Nasm);
formatter.numberBase = 10;
formatter.spaceAfterOperandSeparator = true;
formatter.signedImmediateOperands = true;
formatter.showBranchSize = false;

/** Every instruction of `code`, which runs at `at`. */
export function decodeAll(code: Uint8Array, at = 0n): Decoded[] {
  const decoder = new Decoder(64, code, DecoderOptions.None);
  decoder.ip = at;
  const all: Decoded[] = [];
  while (decoder.canDecode) {
    const instruction = decoder.decode();
    all.push({
      at: instruction.ip,
      next: instruction.nextIP,
      mnemonic: Mnemonic[instruction.mnemonic]!.toLowerCase(),
      lock: instruction.hasLockPrefix,
      operands: Array.from({ length: instruction.opCount }, (_, index) => operandOf(instruction, index)),
      text: formatter.format(instruction),
    });
    instruction.free();
  }
  decoder.free();
  return all;
}

function operandOf(instruction: Instruction, index: number): DecodedOperand {
  const kind = instruction.opKind(index);
  if (kind === OpKind.Register) {
    const register = instruction.opRegister(index);
    return { kind: 'register', code: RegisterExt.number(register), bits: 8 * RegisterExt.size(register) };
  }
  if (kind === OpKind.Memory) return memoryOf(instruction);
  if (kind === OpKind.NearBranch64) return { kind: 'target', address: instruction.nearBranchTarget };
  const bits = kind === OpKind.Immediate32 ? 32 : 64; // it extends the sign of every other kind itself
  return { kind: 'immediate', value: BigInt.asIntN(bits, instruction.immediate(index)) };
}

function memoryOf(instruction: Instruction): DecodedOperand {
  const size = instruction.memorySize;
  const bits = size === MemorySize.Unknown ? 0 : 8 * MemorySizeExt.size(size);
  if (instruction.isIpRelMemoryOperand) {
    return { kind: 'memory', displacement: 0n, address: instruction.ipRelMemoryAddress, bits };
  }
  const { memoryBase, memoryIndex } = instruction;
  return {
    kind: 'memory',
    ...(memoryBase === Register.None ? {} : { base: RegisterExt.number(memoryBase) }),
    ...(memoryIndex === Register.None ? {} : { index: RegisterExt.number(memoryIndex) }),
    displacement: BigInt.asIntN(64, instruction.memoryDisplacement),
    bits,
  };
}
