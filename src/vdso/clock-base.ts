/** The reading of a clock's base as machine code: guest/clock-gettime.ts, access for access, and guest/clock-base.ts behind it. */
import { CLOCK_BASE, CLOCK_MODE } from '../abi/clock-base.ts';
import type { Context } from './code.ts';
import {
  eax,
  ecx,
  esi,
  type Label,
  type Memory,
  mem,
  r8,
  r9,
  r10,
  r10d,
  r11,
  rax,
  rdi,
  rdx,
  rsi,
  rsp,
} from './operands.ts';
import { emitLanded, emitRdtscOrdered } from './readers.ts';
import type { Assembler } from './x86.ts';

/** In the red zone, while the record is read. */
const [BASE, SEQUENCE] = [mem(rsp, -8), mem(rsp, -16)];
/** Bytes of the red zone that a reading spoils. */
export const SPOILT_BYTES = 16;

/**
 * rax = ns from the base's second on, r9 = that second, by the base at rdi. To `none` where it has no answer; to `old`, with
 * the latest that it gives, where it is too old. `records`: where the address of record 0 stands. Spoils what a callee may.
 */
export function emitReadBase(context: Context, records: Memory, none: Label, old: Label): void {
  const { a, cold } = context;
  const [retry, again, counted, line] = [a.label('retry'), a.label('again'), a.label('counted'), a.label('line')];
  const [otherMode, beyond] = [a.label('other mode'), a.label('beyond')];
  a.bind(retry);
  a.mov(esi, mem(rdi, CLOCK_BASE.sequence));
  a.aluImmediate('and', esi, ~1);
  a.mov(eax, mem(rdi, CLOCK_BASE.mode));
  a.aluImmediate('cmp', eax, CLOCK_MODE.TSC);
  a.jcc('ne', otherMode);
  emitRdtscOrdered(context);
  a.shlImmediate(rdx, 32);
  a.alu('or', rax, rdx);
  a.bind(counted);
  a.mov(r8, mem(rdi, CLOCK_BASE.cycleLast));
  a.mov(rdx, mem(rdi, CLOCK_BASE.validCycles));
  a.mov(r10d, mem(rdi, CLOCK_BASE.mult));
  a.mov(ecx, mem(rdi, CLOCK_BASE.shift));
  a.mov(r9, mem(rdi, CLOCK_BASE.sec));
  a.mov(r11, mem(rdi, CLOCK_BASE.shiftedNsec));
  a.alu('cmp', mem(rdi, CLOCK_BASE.sequence), esi);
  a.jcc('ne', again);
  a.alu('sub', rax, r8);
  a.alu('cmp', rax, rdx);
  a.jcc('a', beyond);
  a.bind(line);
  emitLine(a);
  cold.add(() => {
    a.bind(otherMode);
    emitOtherCounter(context, records, none, counted);
    a.bind(again);
    a.pause();
    a.jmp(retry);
    a.bind(beyond);
    emitBeyond(a, line, old);
  });
}

/** rax = the counter of a mode, in eax, that is not TSC. */
function emitOtherCounter(context: Context, records: Memory, none: Label, counted: Label): void {
  const { a } = context;
  const notPvclock = a.label('not pvclock');
  a.aluImmediate('cmp', eax, CLOCK_MODE.PVCLOCK);
  a.jcc('ne', notPvclock);
  a.mov(BASE, rdi);
  a.mov(SEQUENCE, rsi);
  a.mov(rdi, records);
  a.test(rdi, rdi);
  a.jcc('e', none);
  emitLanded(context, none);
  a.mov(rdi, BASE);
  a.mov(rsi, SEQUENCE);
  a.jmp(counted);
  a.bind(notPvclock);
  a.aluImmediate('cmp', eax, CLOCK_MODE.COARSE);
  a.jcc('ne', none);
  a.mov(rax, mem(rdi, CLOCK_BASE.cycleLast));
  a.jmp(counted);
}

/** rax = (r11 + rax * r10) >> cl, of 128 bits the low 64. */
function emitLine(a: Assembler): void {
  a.mul(r10);
  a.alu('add', rax, r11);
  a.aluImmediate('adc', rdx, 0);
  a.shrdCl(rax, rdx);
}

/** rax cycles past the base, mod 2^64, and more than the rdx that it is valid for: a little behind the base, or too far away. */
function emitBeyond(a: Assembler, line: Label, old: Label): void {
  const [forward, far] = [a.label('forward'), a.label('far')];
  a.shlImmediate(rax, 1); // mod 2^63, with the sign in its place
  a.test(rax, rax);
  a.jcc('ns', forward);
  a.neg(rax);
  a.shrImmediate(rax, 1);
  a.alu('cmp', rax, rdx);
  a.jcc('a', far);
  a.alu('xor', eax, eax); // level, and on: no cycles are never too many
  a.bind(forward);
  a.shrImmediate(rax, 1);
  a.alu('cmp', rax, rdx);
  a.jcc('be', line);
  a.bind(far);
  a.mov(rax, rdx);
  emitLine(a);
  a.jmp(old);
}
