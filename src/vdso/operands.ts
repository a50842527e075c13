/** What x86-64 instructions act on: registers, memory, labels. */

/** A register: `code` 0..15 as the processor numbers them, `bits` 32 or 64. */
export interface Register {
  readonly code: number;
  readonly bits: 32 | 64;
  readonly name: string;
}

const NAMES64 = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');
const NAMES32 = 'eax ecx edx ebx esp ebp esi edi r8d r9d r10d r11d r12d r13d r14d r15d'.split(' ');
const registers = (names: string[], bits: 32 | 64): Register[] => names.map((name, code) => ({ code, bits, name }));

export const [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15] = registers(
  NAMES64,
  64,
) as Sixteen;
export const [eax, ecx, edx, ebx, esp, ebp, esi, edi, r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d] = registers(
  NAMES32,
  32,
) as Sixteen;
type Sixteen = [...Four, ...Four, ...Four, ...Four];
type Four = [Register, Register, Register, Register];

/** A place in the code or the data: bound once with `bind`, used before or after. */
export interface Label {
  readonly name: string;
  at: number | undefined;
}

/** [base + index + displacement], or [rip + label]. */
export interface Memory {
  readonly base?: Register;
  readonly index?: Register;
  readonly displacement: number;
  readonly label?: Label;
}

export const mem = (base: Register, displacement = 0): Memory => ({ base, displacement });
export const ripMem = (label: Label, displacement = 0): Memory => ({ label, displacement });

export type Operand = Register | Memory;
export const isRegister = (operand: Operand): operand is Register => 'bits' in operand;
