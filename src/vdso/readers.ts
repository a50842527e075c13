/**
 * The readers of guest/ once more, as x86-64 machine code: the same accesses in the same order, the same nanoseconds.
 *
 * System V calling convention; a reader takes the address of record 0 in rdi and answers u64 nanoseconds in rax, or
 * UNSTABLE (2^64-1) where the plain function answers undefined. It uses the registers that a callee may use, and the red
 * zone. Where two loads are in program order, x86 does them in that order: a read barrier needs no instruction.
 */
import { PVCLOCK_TSC_STABLE_BIT, PVTI, PVTI_SIZE } from '../abi/pvti.ts';
import type { Context } from './code.ts';
import { eax, ecx, esi, type Label, mem, r8, r8d, r9, r10, r10d, r11, rax, rdi, rdx, rsp } from './operands.ts';
import type { Assembler } from './x86.ts';

/** The selector whose segment limit holds the vCPU number in its low 12 bits, on Linux and in our KVM guests. */
export const VCPU_SELECTOR = 0x7b;
const VCPU_MASK = 0xfff;
const NSEC_FRACTION_BITS = 32;

/** edx:eax = the TSC, after every earlier load. RDTSCP where there is one: it waits as LFENCE does, and costs less. */
export function emitRdtscOrdered({ a, cold, hasRdtscp }: Context): void {
  const without = a.label('no rdtscp');
  const done = a.label('tsc read');
  a.cmpByte(hasRdtscp, 0);
  a.jcc('e', without);
  a.rdtscp();
  a.bind(done);
  cold.add(() => {
    a.bind(without);
    a.lfence();
    a.rdtsc();
    a.jmp(done);
  });
}

/** The body of the record at rdi: r10d = mul, ecx = shift, r11 = systemTime, r8 = tscTimestamp. */
export function emitLoadBody(a: Assembler): void {
  a.mov(r10d, mem(rdi, PVTI.tscToSystemMul));
  a.movsxByte(ecx, mem(rdi, PVTI.tscShift));
  a.mov(r11, mem(rdi, PVTI.systemTime));
  a.mov(r8, mem(rdi, PVTI.tscTimestamp));
}

/**
 * rax = the time of the TSC in edx:eax, by the body that emitLoadBody has loaded. Spoils rcx, rdx, r8 to r11.
 *
 * (d >> n) * mul >> 32 is the high half of (d >> n) * (mul << 32): one product and no shift behind it.
 */
export function emitBodyToNs(context: Context): void {
  const { a } = context;
  emitRightShiftOrAny(context, () => {
    a.alu('sub', rax, r8);
    a.shlImmediate(rdx, 32);
    a.shlImmediate(r10, NSEC_FRACTION_BITS);
    a.alu('add', rax, rdx);
    a.shrCl(rax);
    a.mul(r10);
    a.lea(rax, { base: rdx, index: r11, displacement: 0 });
  });
}

/** The same as Linux computes it: the product's 96 bits, and a shift behind it. For the two readers that the thread compares. */
function emitBodyToNsAsPosted(context: Context): void {
  const { a } = context;
  emitRightShiftOrAny(context, () => {
    a.alu('sub', rax, r8);
    a.shlImmediate(rdx, 32);
    a.alu('add', rax, rdx);
    a.shrCl(rax);
    emitMultiply(a);
  });
}

/** `line` with the count of a right shift in cl, 0 to 63, and the line of any shift where the record gives another. */
function emitRightShiftOrAny({ a, cold }: Context, line: () => void): void {
  const anyShift = a.label('any shift');
  const done = a.label('ns');
  a.neg(ecx);
  a.aluImmediate('cmp', ecx, 63);
  a.jcc('a', anyShift); // a left shift: a TSC slower than 1 GHz, or nonsense
  line();
  a.bind(done);
  cold.add(() => {
    a.bind(anyShift);
    emitLineOfAnyShift(a);
    a.jmp(done);
  });
}

/** rax = r11 + the product of rax and r10, without its low 32 bits. */
function emitMultiply(a: Assembler): void {
  a.mul(r10);
  a.shrd(rax, rdx, NSEC_FRACTION_BITS);
  a.alu('add', rax, r11);
}

/**
 * What can be made of the body beforehand, for who keeps it: (d >> n) * mul >> 32 is also (d with its low n bits clear) *
 * (mul << (32 - n)) >> 64, and the mask may be applied before the TSC's high half is added, as that has none of its bits.
 * r10 = mul << (32 - n), r9 = the mask of the bits that a right shift by n leaves, from r10d and the shift -n in ecx; or to
 * `anyShift` with r10 as it was and n in ecx, where n is not in 0..31: a TSC slower than 1 GHz, or nonsense.
 */
export function emitFactorAndMask(a: Assembler, anyShift: Label): void {
  a.neg(ecx);
  a.aluImmediate('cmp', ecx, 31);
  a.jcc('a', anyShift);
  a.movImmediate(r9, -1);
  a.shlCl(r9);
  a.shlImmediate(r10, NSEC_FRACTION_BITS);
  a.shrCl(r10);
}

/** rax = r11 + scaled (edx:eax - r8), by factor r10 and mask r9. */
export function emitLine(a: Assembler): void {
  a.alu('sub', rax, r8);
  a.shlImmediate(rdx, 32);
  a.alu('and', rax, r9);
  a.alu('add', rax, rdx);
  a.mul(r10);
  a.lea(rax, { base: rdx, index: r11, displacement: 0 });
}

/** The same where n = ecx is not in 0..63: a left shift by -n drops what passes bit 63; 64 or more, either way, leave nothing. */
function emitLineOfAnyShift(a: Assembler): void {
  const [nothing, multiply] = [a.label('nothing'), a.label('multiply')];
  a.alu('sub', rax, r8);
  a.shlImmediate(rdx, 32);
  a.alu('add', rax, rdx);
  a.neg(ecx);
  a.aluImmediate('cmp', ecx, 63);
  a.jcc('a', nothing); // unsigned: a long right shift too
  a.shlCl(rax);
  a.jmp(multiply);
  a.bind(nothing);
  a.alu('xor', eax, eax);
  a.bind(multiply);
  emitMultiply(a);
}

/** esi = the version at rdi, made even. */
function emitReadBegin(a: Assembler): void {
  a.mov(esi, mem(rdi, PVTI.version));
  a.aluImmediate('and', esi, ~1);
}

/** Back to `retry` where the version at rdi is not esi any more. Returns where that jump goes: it pauses on its way. */
function emitReadRetry({ a, cold }: Context, retry: Label): Label {
  const again = a.label('again');
  a.alu('cmp', mem(rdi, PVTI.version), esi);
  a.jcc('ne', again);
  cold.add(() => {
    a.bind(again);
    a.pause();
    a.jmp(retry);
  });
  return again;
}

function emitStableOr(a: Assembler, unstable: Label): void {
  a.testByte(mem(rdi, PVTI.flags), PVCLOCK_TSC_STABLE_BIT);
  a.jcc('e', unstable);
}

/** rax = the time by the record at rdi; to `unstable` where it is not stable. guest/landed.ts, and relaxed.ts. */
export function emitLanded(context: Context, unstable: Label, tsc: 'ordered' | 'plain' = 'ordered'): void {
  const { a } = context;
  const retry = a.label('retry');
  a.bind(retry);
  emitReadBegin(a);
  emitStableOr(a, unstable);
  if (tsc === 'ordered') emitRdtscOrdered(context);
  else a.rdtsc();
  emitLoadBody(a);
  emitReadRetry(context, retry);
  emitBodyToNs(context); // after the version's check: it is no access, and so less is left to retire behind the product
}

/** guest/rfc.ts: the bit before the loop, and the arithmetic that Linux has. */
export function emitRfc(context: Context, unstable: Label): void {
  const { a } = context;
  const retry = a.label('retry');
  emitStableOr(a, unstable);
  a.bind(retry);
  emitReadBegin(a);
  emitRdtscOrdered(context);
  emitLoadBody(a);
  emitReadRetry(context, retry);
  emitBodyToNsAsPosted(context);
}

/** guest/before.ts, as Linux had it: its arithmetic, LFENCE on both sides of the TSC, and LSL for the vCPU number. */
export function emitBefore(context: Context, unstable: Label): void {
  const { a } = context;
  const retry = a.label('retry');
  const records = mem(rsp, -8); // in the red zone
  const vcpu = mem(rsp, -16);
  const flags = mem(rsp, -24);
  a.mov(records, rdi);
  a.bind(retry);
  emitVcpu(a);
  a.mov(vcpu, eax);
  a.imulImmediate(rax, rax, PVTI_SIZE);
  a.mov(rdi, records);
  a.alu('add', rdi, rax);
  emitReadBegin(a);
  a.lfence();
  a.rdtsc();
  emitLoadBody(a);
  emitBodyToNsAsPosted(context);
  a.movzxByte(r8d, mem(rdi, PVTI.flags));
  a.mov(flags, r8d);
  a.mov(r9, rax);
  a.lfence();
  emitVcpu(a);
  const again = emitReadRetry(context, retry);
  a.alu('cmp', eax, vcpu);
  a.jcc('ne', again);
  a.mov(rax, r9);
  a.testByte(flags, PVCLOCK_TSC_STABLE_BIT);
  a.jcc('e', unstable);
}

/** eax = the number of the vCPU. Spoils ecx. */
export function emitVcpu(a: Assembler): void {
  a.movImmediate(ecx, VCPU_SELECTOR);
  a.lsl(eax, ecx);
  a.aluImmediate('and', eax, VCPU_MASK);
}
