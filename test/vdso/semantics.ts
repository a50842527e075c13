/** What each instruction does to the emulator: one row a mnemonic. What is not here is not known, and says so. */
import type { Decoded, DecodedOperand } from './decode.ts';
import type { Emulator } from './emulator.ts';

/** The numbers of the registers that have names here. */
export const [RAX, RCX, RDX, RBX, RSP, RSI, RDI] = [0, 1, 2, 3, 4, 6, 7] as const;

/** What stands where nothing may be expected. */
export const POISON = 0xbad_c0de_bad_c0den;

export interface Flags {
  carry: boolean;
  zero: boolean;
  sign: boolean;
  overflow: boolean;
}

/** Runs one instruction; `fenced`: the one before it was an LFENCE. */
export function execute(emulator: Emulator, instruction: Decoded, fenced: boolean): void {
  const { mnemonic, operands, lock, text } = instruction;
  if (lock !== (mnemonic === 'cmpxchg')) throw new Error(`no lock prefix there: ${text}`);
  const act = ROWS[mnemonic];
  if (mnemonic === 'rdtsc') answerTsc(emulator, emulator.platform.tsc(fenced ? 'ordered' : 'plain'));
  else if (act !== undefined) act(emulator, ...(operands as [DecodedOperand, DecodedOperand, DecodedOperand]));
  else if (!mnemonic.startsWith('j')) throw new Error(`no such instruction here: ${text}`);
  else if (holds(emulator.flags, mnemonic.slice(1))) emulator.rip = targetOf(operands[0]!);
}

/** The decoder gives each instruction as many operands as its row takes. */
type Row = (emulator: Emulator, a: DecodedOperand, b: DecodedOperand, c: DecodedOperand) => void;

const nothing: Row = () => {};
const copy: Row = (e, to, from) => e.write(to, e.read(from));

const ROWS: Readonly<Record<string, Row>> = {
  nop: nothing,
  lfence: nothing, // the emulator tells the platform, unless an RDTSC follows
  mov: copy,
  movzx: copy,
  movsx: (e, to, from) => e.write(to, BigInt.asIntN(bitsOf(from), e.read(from))),
  lea: (e, to, from) => e.write(to, e.addressOf(from)),
  add: addOrSubtract('add'),
  adc: (e, to, from) => {
    if (e.flags === undefined) throw new Error('adc looks at undefined flags');
    const sum = e.read(to) + BigInt.asUintN(bitsOf(to), e.read(from)) + (e.flags.carry ? 1n : 0n);
    e.flags = undefined;
    e.write(to, sum);
  },
  sub: addOrSubtract('sub'),
  cmp: addOrSubtract('cmp'),
  and: logic('and'),
  test: logic('test'),
  or: logic('or'),
  xor: logic('xor'),
  neg: (e, to) => {
    const value = e.read(to);
    e.flags = { ...flagsOf(-value, bitsOf(to)), carry: value !== 0n };
    e.write(to, -value);
  },
  shl: shift((value, count) => value << count),
  shr: shift((value, count) => value >> count),
  shrd: (e, to, from, by) => {
    const count = e.read(by) & BigInt(bitsOf(to) - 1);
    e.write(to, (e.read(to) >> count) | (e.read(from) << (BigInt(bitsOf(to)) - count)));
    e.flags = undefined;
  },
  mul: (e, by) => {
    if (bitsOf(by) !== 64) throw new Error('only the 64-bit mul is known here');
    const product = e.registers[RAX]! * e.read(by);
    e.registers[RAX] = product;
    e.registers[RDX] = product >> 64n;
    e.flags = undefined;
  },
  div: (e, by) => {
    const [dividend, divisor] = [(e.registers[RDX]! << 64n) | e.registers[RAX]!, e.read(by)];
    if (bitsOf(by) !== 64 || dividend >> 64n >= divisor) throw new Error('#DE, or a div that is not known here');
    e.registers[RAX] = dividend / divisor;
    e.registers[RDX] = dividend % divisor;
    e.flags = undefined;
  },
  imul: (e, to, from, by) => {
    e.write(to, e.read(from) * e.read(by));
    e.flags = undefined;
  },
  push: (e, from) => e.push(e.read(from)),
  pop: (e, to) => e.write(to, e.pop()),
  call: (e, to) => {
    e.push(e.rip);
    e.rip = to.kind === 'target' ? to.address : e.read(to);
  },
  ret: (e) => {
    e.rip = e.pop();
  },
  jmp: (e, to) => {
    e.rip = targetOf(to);
  },
  cmpxchg: (e, at, desired) => {
    const [there, expected] = [e.read(at), e.registers[RAX]!];
    e.flags = { ...flagsOf(expected - there, 64), carry: expected < there };
    if (there === expected) e.write(at, e.read(desired));
    else e.registers[RAX] = there;
  },
  rdtscp: (e) => {
    e.registers[RCX] = POISON; // TSC_AUX
    answerTsc(e, e.platform.rdtscp());
  },
  lsl: (e, to, selector) => {
    e.write(to, BigInt(e.platform.segmentLimit(Number(e.read(selector)))));
    e.flags = undefined;
  },
  cpuid: (e) => {
    const [leaf, subleaf] = [RAX, RCX].map((register) => Number(e.registers[register]! & 0xffff_ffffn)) as [
      number,
      number,
    ];
    for (const register of [RAX, RCX, RBX]) e.registers[register] = POISON & 0xffff_ffffn;
    e.registers[RDX] = BigInt(e.platform.cpuid(leaf, subleaf) >>> 0);
  },
  syscall: (e) => {
    e.registers[RAX] = e.platform.syscall(e);
    e.registers[RCX] = POISON;
    e.registers[11] = POISON;
    e.flags = undefined;
  },
  pause: (e) => e.platform.pause(),
  pxor: (e) => {
    e.xmm0 = 0;
  },
  cvtsi2sd: (e, _to, from) => {
    e.xmm0 = Number(BigInt.asIntN(64, e.read(from)));
  },
  addsd: (e) => {
    e.xmm0 += e.xmm0;
  },
};

function addOrSubtract(operation: 'add' | 'sub' | 'cmp'): Row {
  const act = (a: bigint, b: bigint) => (operation === 'add' ? a + b : a - b);
  return (e, to, from) => {
    const bits = bitsOf(to);
    const [a, b] = [e.read(to), BigInt.asUintN(bits, e.read(from))];
    const exact = act(BigInt.asIntN(bits, a), BigInt.asIntN(bits, b));
    const result = act(a, b);
    const carry = result !== BigInt.asUintN(bits, result);
    e.flags = { ...flagsOf(result, bits), carry, overflow: exact !== BigInt.asIntN(bits, exact) };
    if (operation !== 'cmp') e.write(to, result);
  };
}

function logic(operation: 'and' | 'test' | 'or' | 'xor'): Row {
  return (e, to, from) => {
    const bits = bitsOf(to);
    const [a, b] = [e.read(to), BigInt.asUintN(bits, e.read(from))];
    const result = operation === 'or' ? a | b : operation === 'xor' ? a ^ b : a & b;
    e.flags = flagsOf(result, bits);
    if (operation !== 'test') e.write(to, result);
  };
}

/** The flags are left undefined: where the count is 0 they stay, and nobody may count on either. */
function shift(act: (value: bigint, count: bigint) => bigint): Row {
  return (e, to, by) => {
    const count = e.read(by) & BigInt(bitsOf(to) - 1); // the processor takes the low five or six bits
    e.write(to, act(e.read(to), count));
    e.flags = undefined;
  };
}

function holds(flags: Flags | undefined, condition: string): boolean {
  if (flags === undefined) throw new Error(`j${condition} looks at undefined flags`);
  const { carry, zero, sign, overflow } = flags;
  const less = sign !== overflow;
  const truth: Readonly<Record<string, boolean>> = {
    b: carry,
    ae: !carry,
    e: zero,
    ne: !zero,
    be: carry || zero,
    a: !carry && !zero,
    s: sign,
    ns: !sign,
    l: less,
    ge: !less,
    le: less || zero,
    g: !less && !zero,
  };
  const answer = truth[condition];
  if (answer === undefined) throw new Error(`no such condition here: ${condition}`);
  return answer;
}

function answerTsc(e: Emulator, tsc: bigint): void {
  e.registers[RAX] = tsc & 0xffff_ffffn;
  e.registers[RDX] = tsc >> 32n;
}

function bitsOf(operand: DecodedOperand): number {
  if (operand.kind === 'register' || operand.kind === 'memory') return operand.bits;
  throw new Error(`no size: ${operand.kind}`);
}

function targetOf(operand: DecodedOperand): bigint {
  if (operand.kind !== 'target') throw new Error('no jump to an address in a register here');
  return operand.address;
}

function flagsOf(result: bigint, bits: number): Flags {
  const value = BigInt.asUintN(bits, result);
  return { carry: false, zero: value === 0n, sign: value >> BigInt(bits - 1) === 1n, overflow: false };
}
