/**
 * A second image, for measuring: loops in machine code around the functions of the first, so that no JavaScript stands
 * between two calls. Each function takes one address, of a block of u64 words, and leaves its results there.
 */
import { CLOCK_MONOTONIC } from '../abi/clock-id.ts';
import { type Code, CodeBuilder, type Context } from './code.ts';
import {
  eax,
  edi,
  type Label,
  mem,
  type Register,
  r8,
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
} from './operands.ts';
import type { Assembler } from './x86.ts';

/** How every block begins: `callee(first, second)` is called `count` times. */
const CALLS = { callee: 0, first: 8, second: 16, count: 24 } as const;

/** kvmclock_time_loop: `cycles` is how many TSC cycles the calls took. */
export const TIME_LOOP = { ...CALLS, cycles: 32 } as const;
export const TIME_LOOP_BYTES = 40;

/**
 * kvmclock_warp_loop: reads with the callee on several vCPUs at once. `shared` is the address of
 * a u64 that all of them have: the latest time that any of them was given. A reading behind it is a warp.
 * `reads` falls short of `count` where the reader said that the record is not stable.
 */
export const WARP_LOOP = { ...CALLS, shared: 32, reads: 40, warps: 48, worstNs: 56, stalls: 64 } as const;
export const WARP_LOOP_BYTES = 72;

/** kvmclock_bracket_loop: how many of the readings lay outside two readings by `bracket(first, second)` around them. */
export const BRACKET_LOOP = { ...CALLS, bracket: 32, outside: 40, worstNs: 48 } as const;
export const BRACKET_LOOP_BYTES = 56;

export const MEASURE_DATA_BYTES = 8;

const SYS_CLOCK_GETTIME = 228;
const KEPT: readonly Register[] = [rbx, rbp, r12, r13, r14, r15];

export function measureCode(): Code {
  const builder = new CodeBuilder(0);
  const { a } = builder;
  builder.define('kvmclock_time_loop', () => emitTimeLoop(a));
  builder.define('kvmclock_warp_loop', () => emitWarpLoop(a));
  builder.define('kvmclock_bracket_loop', () => emitBracketLoop(a));
  builder.define('kvmclock_vdso_clock_gettime', (context) => {
    // rdi: the address of a clock_gettime
    a.mov(rax, rdi);
    emitWithTimespec(context, () => a.call(rax));
  });
  builder.define('kvmclock_syscall_clock_gettime', (context) => {
    emitWithTimespec(context, () => {
      a.movImmediate(eax, SYS_CLOCK_GETTIME);
      a.syscall();
    });
  });
  builder.define('kvmclock_nothing', () => a.ret());
  return builder.finish();
}

/** Calls with (CLOCK_MONOTONIC, a timespec on the stack) in edi and rsi. */
function emitWithTimespec({ a }: Context, call: () => void): void {
  a.aluImmediate('sub', rsp, 24);
  a.movImmediate(edi, CLOCK_MONOTONIC);
  a.mov(rsi, rsp);
  call();
  a.aluImmediate('add', rsp, 24);
  a.ret();
}

/** rbx = the block, rbp = the callee, r12 = rounds left; the loop's own registers are r13 to r15. */
function emitFrame(a: Assembler, body: () => void): void {
  for (const register of KEPT) a.push(register);
  a.aluImmediate('sub', rsp, 8); // an even number of words: the stack is aligned at calls
  a.mov(rbx, rdi);
  a.mov(rbp, mem(rbx, CALLS.callee));
  a.mov(r12, mem(rbx, CALLS.count));
  body();
  a.aluImmediate('add', rsp, 8);
  for (const register of KEPT.toReversed()) a.pop(register);
  a.ret();
}

function emitCall(a: Assembler, callee: Register): void {
  a.mov(rdi, mem(rbx, CALLS.first));
  a.mov(rsi, mem(rbx, CALLS.second));
  a.call(callee);
}

function emitTimeLoop(a: Assembler): void {
  emitFrame(a, () => {
    const loop = a.label('loop');
    emitFencedTsc(a);
    a.mov(r14, rax);
    a.align(32);
    a.bind(loop);
    emitCall(a, rbp);
    a.aluImmediate('sub', r12, 1);
    a.jcc('ne', loop);
    emitFencedTsc(a);
    a.alu('sub', rax, r14);
    a.mov(mem(rbx, TIME_LOOP.cycles), rax);
  });
}

/** rax = the TSC with LFENCE on both sides: nothing of the loop runs outside. */
function emitFencedTsc(a: Assembler): void {
  a.lfence();
  a.rdtsc();
  a.lfence();
  a.shlImmediate(rdx, 32);
  a.alu('or', rax, rdx);
}

/** r13 = the address of the shared word, r14 = what it held before the reading, r15 = 1 for adding in memory. */
function emitWarpLoop(a: Assembler): void {
  emitFrame(a, () => {
    const [loop, next, behind, same, done] = ['loop', 'next', 'behind', 'same', 'done'].map((name) =>
      a.label(name),
    ) as [Label, Label, Label, Label, Label];
    a.mov(r13, mem(rbx, WARP_LOOP.shared));
    a.movImmediate(r15, 1);
    a.bind(loop);
    a.mov(r14, mem(r13)); // before the reading: its ordered TSC read waits for this load
    emitCall(a, rbp);
    a.aluImmediate('cmp', rax, -1);
    a.jcc('e', done);
    a.alu('add', mem(rbx, WARP_LOOP.reads), r15);
    a.alu('cmp', rax, r14);
    a.jcc('b', behind);
    a.jcc('e', same);
    a.mov(r8, rax);
    a.mov(rax, r14);
    a.lockCmpxchg(mem(r13), r8); // where another was faster, its time stands: later ones are held to that
    a.bind(next);
    a.aluImmediate('sub', r12, 1);
    a.jcc('ne', loop);
    a.jmp(done);
    a.bind(same);
    a.alu('add', mem(rbx, WARP_LOOP.stalls), r15);
    a.jmp(next);
    a.bind(behind);
    a.alu('add', mem(rbx, WARP_LOOP.warps), r15);
    a.alu('sub', r14, rax);
    emitKeepWorst(a, WARP_LOOP.worstNs, r14, next);
    a.bind(done);
  });
}

/** Stores `value` at the block's `worst` where it is more than stands there; then on to `next`. */
function emitKeepWorst(a: Assembler, worst: number, value: Register, next: Label): void {
  a.alu('cmp', value, mem(rbx, worst));
  a.jcc('be', next);
  a.mov(mem(rbx, worst), value);
  a.jmp(next);
}

/** r13 = the bracket's reader, r14 = the reading before, r15 = the reading in question. */
function emitBracketLoop(a: Assembler): void {
  emitFrame(a, () => {
    const [loop, next, early, late] = ['loop', 'next', 'early', 'late'].map((name) => a.label(name)) as [
      Label,
      Label,
      Label,
      Label,
    ];
    a.mov(r13, mem(rbx, BRACKET_LOOP.bracket));
    a.bind(loop);
    emitCall(a, r13);
    a.mov(r14, rax);
    emitCall(a, rbp);
    a.mov(r15, rax);
    emitCall(a, r13);
    a.alu('cmp', r15, r14);
    a.jcc('b', early);
    a.alu('cmp', r15, rax);
    a.jcc('a', late);
    a.bind(next);
    a.aluImmediate('sub', r12, 1);
    a.jcc('ne', loop);
    const end = a.label('end');
    a.jmp(end);
    a.bind(early);
    a.alu('sub', r14, r15);
    a.mov(r15, r14);
    const outside = a.label('outside');
    a.jmp(outside);
    a.bind(late);
    a.alu('sub', r15, rax);
    a.bind(outside);
    a.aluImmediate('add', mem(rbx, BRACKET_LOOP.outside), 1, 64);
    emitKeepWorst(a, BRACKET_LOOP.worstNs, r15, next);
    a.bind(end);
  });
}
