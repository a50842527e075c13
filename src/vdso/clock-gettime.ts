/**
 * The clocks of a page of bases (abi/clock-base.ts), each as a function without an argument, and all of them as
 * clock_gettime with C's signature. Where the page has no answer the kernel is asked in the same call, and a word of the
 * page's owner is set, so that he can see to his bases.
 */
import { CLOCK_BASE_BYTES, CLOCK_BASES } from '../abi/clock-base.ts';
import { CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME } from '../abi/clock-id.ts';
import { type Answer, emitAnswer } from './answer.ts';
import { emitReadBase, SPOILT_BYTES } from './clock-base.ts';
import type { CodeBuilder, Context } from './code.ts';
import { eax, ecx, edi, edx, type Memory, mem, r9, rax, rcx, rdi, rdx, rsi, rsp } from './operands.ts';
import type { Assembler } from './x86.ts';

/** The image's words that matter here. */
export interface ClockWords {
  /** Address of record 0, or 0. */
  readonly records: Memory;
  /** Address of the page of bases, or 0. */
  readonly bases: Memory;
  /** Address of a u32 that becomes 1 where the kernel was asked, or 0. */
  readonly asked: Memory;
  /** Address of a clock_gettime that returns 0 or -errno, or 0 for the system call. */
  readonly kernel: Memory;
}

const SYS_CLOCK_GETTIME = 228;
const NSEC_PER_SEC = 1_000_000_000;
const CLOCK_BASE_SHIFT = Math.log2(CLOCK_BASE_BYTES);

const FAST = {
  realtime: CLOCK_REALTIME,
  monotonic: CLOCK_MONOTONIC,
  boottime: CLOCK_BOOTTIME,
  monotonic_raw: CLOCK_MONOTONIC_RAW,
} as const;

/** clock_gettime's arguments in the red zone, `pushed` words above the stack's top. */
const clockAt = (pushed: number): Memory => mem(rsp, 8 * pushed - SPOILT_BYTES - 8);
const timespecAt = (pushed: number): Memory => mem(rsp, 8 * pushed - SPOILT_BYTES - 16);

export function defineClockGettime(builder: CodeBuilder, words: ClockWords): void {
  const { a } = builder;
  for (const [name, clock] of Object.entries(FAST)) {
    builder.define(`kvmclock_${name}`, (context) => emitFast(context, words, clock, 'u64'));
    builder.define(`kvmclock_${name}_ns`, (context) => emitFast(context, words, clock, 'double'));
  }
  builder.define('kvmclock_clock_gettime', (context) => emitClockGettime(context, words));
  builder.define('kvmclock_attach_bases', () => {
    a.mov(words.asked, rsi);
    a.mov(words.kernel, rdx);
    a.mov(words.bases, rdi);
    a.ret();
  });
}

/** Returns `clock` in ns. */
function emitFast(context: Context, words: ClockWords, clock: number, answer: Answer): void {
  const { a, cold } = context;
  const [none, old, done] = [a.label('none'), a.label('old'), a.label('done')];
  a.mov(rdi, words.bases);
  a.test(rdi, rdi);
  a.jcc('e', none);
  if (clock !== 0) a.aluImmediate('add', rdi, clock * CLOCK_BASE_BYTES);
  emitReadBase(context, words.records, none, old);
  emitJoined(a);
  a.bind(done);
  emitAnswer(context, answer);
  cold.add(() => {
    a.bind(none);
    emitKernelNs(a, words, clock);
    a.jmp(done);
    a.bind(old);
    emitJoined(a);
    a.push(rax);
    a.push(rax); // twice, for the stack's alignment
    emitKernelNs(a, words, clock);
    a.pop(rcx);
    a.pop(rcx);
    a.alu('cmp', rax, rcx);
    a.jcc('ge', done);
    a.mov(rax, rcx); // never less than the base has given
    a.jmp(done);
  });
}

/** rax += r9 seconds. */
function emitJoined(a: Assembler): void {
  a.imulImmediate(r9, r9, NSEC_PER_SEC);
  a.alu('add', rax, r9);
}

/** rax = the kernel's `clock` in ns. The stack must be as a call leaves it, or an even number of words further. */
function emitKernelNs(a: Assembler, words: ClockWords, clock: number): void {
  a.aluImmediate('sub', rsp, 24);
  a.movImmediate(edi, clock);
  a.mov(rsi, rsp);
  emitKernel(a, words);
  a.imulImmediate(rax, mem(rsp, 0), NSEC_PER_SEC);
  a.alu('add', rax, mem(rsp, 8));
  a.aluImmediate('add', rsp, 24);
}

/** eax = the kernel's clock_gettime(edi, rsi): 0 or -errno. Tells the owner. */
function emitKernel(a: Assembler, words: ClockWords): void {
  const noWord = a.label('no word');
  a.mov(rax, words.asked);
  a.test(rax, rax);
  a.jcc('e', noWord);
  a.movImmediate(ecx, 1);
  a.mov(mem(rax, 0), ecx);
  a.bind(noWord);
  emitKernelCall(a, words.kernel);
}

/** The same and no more. The stack must be aligned as for a call. */
export function emitKernelCall(a: Assembler, kernel: Memory): void {
  const [systemCall, answered] = [a.label('system call'), a.label('answered')];
  a.mov(rax, kernel);
  a.test(rax, rax);
  a.jcc('e', systemCall);
  a.call(rax);
  a.jmp(answered);
  a.bind(systemCall);
  a.movImmediate(eax, SYS_CLOCK_GETTIME);
  a.syscall();
  a.bind(answered);
}

/** int clock_gettime(clockid_t edi, struct timespec *rsi): 0 or -errno, as the vDSO's. */
function emitClockGettime(context: Context, words: ClockWords): void {
  const { a, cold } = context;
  const [none, old, carry, stored] = [a.label('none'), a.label('old'), a.label('carry'), a.label('stored')];
  a.mov(clockAt(0), rdi);
  a.mov(timespecAt(0), rsi);
  a.aluImmediate('cmp', edi, CLOCK_BASES - 1);
  a.jcc('a', none); // unsigned: negative ones too
  a.mov(eax, edi);
  a.mov(rdi, words.bases);
  a.test(rdi, rdi);
  a.jcc('e', none);
  a.shlImmediate(rax, CLOCK_BASE_SHIFT);
  a.alu('add', rdi, rax);
  emitReadBase(context, words.records, none, old);
  a.aluImmediate('cmp', rax, NSEC_PER_SEC);
  a.jcc('ae', carry);
  a.bind(stored);
  a.mov(rsi, timespecAt(0));
  a.mov(mem(rsi, 0), r9);
  a.mov(mem(rsi, 8), rax);
  a.alu('xor', eax, eax);
  a.ret();
  cold.add(() => {
    a.bind(carry);
    emitCarried(a);
    a.mov(rax, rdx);
    a.jmp(stored);
    a.bind(none);
    emitKernelTimespec(a, words, 0);
    a.ret();
    a.bind(old);
    emitCarried(a);
    emitHeldKernel(a, words);
  });
}

/** r9 and rdx = seconds and ns within the second, from r9 seconds and any number of ns in rax. */
function emitCarried(a: Assembler): void {
  a.movImmediate(ecx, NSEC_PER_SEC);
  a.alu('xor', edx, edx);
  a.div(rcx);
  a.alu('add', r9, rax);
}

/** eax = the kernel's clock_gettime of the arguments in the red zone, which stay there. */
function emitKernelTimespec(a: Assembler, words: ClockWords, pushed: number): void {
  const room = SPOILT_BYTES + 24 - 8 * pushed; // over the arguments, to where the stack is aligned
  a.mov(rdi, clockAt(pushed));
  a.mov(rsi, timespecAt(pushed));
  a.aluImmediate('sub', rsp, room);
  emitKernel(a, words);
  a.aluImmediate('add', rsp, room);
}

/** Returns what the kernel does, with the time held up to r9 seconds and rdx ns: never less than the base has given. */
function emitHeldKernel(a: Assembler, words: ClockWords): void {
  const [hold, out] = [a.label('hold'), a.label('out')];
  a.push(r9);
  a.push(rdx);
  emitKernelTimespec(a, words, 2);
  a.mov(rsi, timespecAt(2));
  a.pop(rdx);
  a.pop(rcx);
  a.test(eax, eax);
  a.jcc('ne', out);
  a.alu('cmp', mem(rsi, 0), rcx);
  a.jcc('l', hold);
  a.jcc('g', out);
  a.alu('cmp', mem(rsi, 8), rdx);
  a.jcc('ge', out);
  a.bind(hold);
  a.mov(mem(rsi, 0), rcx);
  a.mov(mem(rsi, 8), rdx);
  a.bind(out);
  a.ret();
}
