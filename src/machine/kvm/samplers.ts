/**
 * Programs of the measuring guest that look at records while the host changes them. Each takes the address of a block of u64
 * words in rdi, and leaves its results there.
 */
import { PVTI } from '../../abi/pvti.ts';
import { type Code, CodeBuilder } from '../../vdso/code.ts';
import {
  esi,
  type Label,
  mem,
  type Register,
  r8d,
  r12,
  r13,
  r14,
  r15,
  rax,
  rbp,
  rbx,
  rdi,
  rdx,
  rsi,
  rsp,
} from '../../vdso/operands.ts';
import type { Assembler } from '../../vdso/x86.ts';
import { emitStress } from './stress-code.ts';

/** sample_once: calls `callee(first, second)` between two fenced TSC reads. */
export const SAMPLE_ONCE = { callee: 0, first: 8, second: 16, before: 24, value: 32, after: 40 } as const;
export const SAMPLE_ONCE_BYTES = 48;

/**
 * sample_stale: waits until the version at `own` moves, then until the one at `other` does, `limit` cycles at most in each
 * of the two. `told`: the TSC when the first had moved; `stale`: the last TSC at which the second had not, or `told` where it
 * had moved by then; `moved`: how many of the two did. `beat`: the TSC while it waits for
 * the first, written all the time: so others see that this vCPU runs.
 */
export const SAMPLE_STALE = { own: 0, other: 8, limit: 16, told: 24, stale: 32, moved: 40, beat: 48 } as const;
export const SAMPLE_STALE_BYTES = 56;

export const SAMPLERS_DATA_BYTES = 8;

const KEPT: readonly Register[] = [rbx, rbp, r12, r13, r14, r15];

export function samplersCode(): Code {
  const builder = new CodeBuilder(0);
  const { a } = builder;
  builder.define('sample_once', () => emitFrame(a, () => emitSampleOnce(a)));
  builder.define('sample_stale', () => emitFrame(a, () => emitSampleStale(a)));
  builder.define('sample_stress', () => emitFrame(a, () => emitStress(a)));
  return builder.finish();
}

/** rbx = the block; the registers that a callee keeps are free. */
function emitFrame(a: Assembler, body: () => void): void {
  for (const register of KEPT) a.push(register);
  a.aluImmediate('sub', rsp, 8);
  a.mov(rbx, rdi);
  body();
  a.aluImmediate('add', rsp, 8);
  for (const register of KEPT.toReversed()) a.pop(register);
  a.ret();
}

/** rax = the TSC, with LFENCE on both sides. Spoils rdx. */
function emitTsc(a: Assembler): void {
  a.lfence();
  a.rdtsc();
  a.lfence();
  a.shlImmediate(rdx, 32);
  a.alu('or', rax, rdx);
}

function emitCallee(a: Assembler): void {
  a.mov(rdi, mem(rbx, SAMPLE_ONCE.first));
  a.mov(rsi, mem(rbx, SAMPLE_ONCE.second));
  a.mov(rax, mem(rbx, SAMPLE_ONCE.callee));
  a.call(rax);
}

function emitSampleOnce(a: Assembler): void {
  emitTsc(a);
  a.mov(mem(rbx, SAMPLE_ONCE.before), rax);
  emitCallee(a);
  a.mov(mem(rbx, SAMPLE_ONCE.value), rax);
  emitTsc(a);
  a.mov(mem(rbx, SAMPLE_ONCE.after), rax);
}

/** r12 = own, r13 = other, esi and r8d = their versions at the start. */
function emitSampleStale(a: Assembler): void {
  const end = a.label('end');
  a.mov(r12, mem(rbx, SAMPLE_STALE.own));
  a.mov(r13, mem(rbx, SAMPLE_STALE.other));
  a.mov(esi, mem(r12, PVTI.version));
  a.mov(r8d, mem(r13, PVTI.version));
  emitAwait(a, r12, esi, end, () => a.mov(mem(rbx, SAMPLE_STALE.beat), rax));
  a.mov(mem(rbx, SAMPLE_STALE.told), rax);
  a.mov(mem(rbx, SAMPLE_STALE.stale), rax);
  a.aluImmediate('add', mem(rbx, SAMPLE_STALE.moved), 1, 64);
  emitAwait(a, r13, r8d, end, () => a.mov(mem(rbx, SAMPLE_STALE.stale), rax));
  a.aluImmediate('add', mem(rbx, SAMPLE_STALE.moved), 1, 64);
  a.bind(end);
}

/** Until the version at `record` is not `version`, then rax = the TSC; to `late` after `limit` cycles. */
function emitAwait(a: Assembler, record: Register, version: Register, late: Label, onRound: () => void): void {
  const [loop, moved] = [a.label('loop'), a.label('moved')];
  emitTsc(a);
  a.mov(r14, rax);
  a.alu('add', r14, mem(rbx, SAMPLE_STALE.limit));
  a.bind(loop);
  a.alu('cmp', mem(record, PVTI.version), version);
  a.jcc('ne', moved);
  emitTsc(a);
  onRound();
  a.alu('cmp', rax, r14);
  a.jcc('b', loop);
  a.jmp(late);
  a.bind(moved);
  emitTsc(a);
}
