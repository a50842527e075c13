/**
 * The image's clock: the symbols that a program calls. It reads the attached record; where that is not stable, or none
 * is attached, it asks the kernel in the same call, so that the caller checks nothing.
 *
 * The kernel's clock is CLOCK_MONOTONIC_RAW, which runs at the record's rate, plus an offset taken when both could be
 * read: a clock that loses its stable bit goes on from where it was, to within their drift since `kvmclock_anchor`.
 */
import { CLOCK_MONOTONIC_RAW } from '../abi/clock-id.ts';
import { CPUID_EXTENDED_FEATURES, CPUID_RDTSCP_BIT } from '../abi/cpuid.ts';
import { type Answer, emitAnswer } from './answer.ts';
import { emitCached } from './cached.ts';
import { defineClockGettime } from './clock-gettime.ts';
import { type Code, CodeBuilder, type Context } from './code.ts';
import { eax, ecx, edi, edx, type Label, type Memory, mem, rax, rbx, rcx, rdi, rdx, rsi, rsp } from './operands.ts';
import { emitBefore, emitBodyToNs, emitLanded, emitLoadBody, emitRdtscOrdered, emitRfc, emitVcpu } from './readers.ts';
import { defineSample } from './sample.ts';
import type { Assembler } from './x86.ts';

/** The image's own words, at the start of its writable segment. */
export const DATA = { records: 0, offset: 8, hasRdtscp: 16, bases: 24, asked: 32, kernel: 40 } as const;
export const DATA_BYTES = 48;

const SYS_CLOCK_GETTIME = 228;
const NSEC_PER_SEC = 1_000_000_000;
const TIMESPEC_BYTES = 16;

/** Everything that kvmclock.so exports. */
export function clockCode(): Code {
  const builder = new CodeBuilder(DATA.hasRdtscp);
  const { a } = builder;
  const define = builder.define.bind(builder);
  const word = builder.word.bind(builder);

  const now = (answer: Answer, tsc: 'ordered' | 'plain') => (context: Context) => {
    const kernel = a.label('kernel');
    const done = a.label('done');
    a.mov(rdi, word(DATA.records));
    a.test(rdi, rdi);
    a.jcc('e', kernel);
    emitLanded(context, kernel, tsc);
    a.bind(done);
    emitAnswer(context, answer);
    context.cold.add(() => {
      a.bind(kernel);
      emitKernelClock(a);
      a.alu('add', rax, word(DATA.offset));
      a.jmp(done);
    });
  };
  define('kvmclock_now', now('u64', 'ordered'));
  define('kvmclock_now_ns', now('double', 'ordered'));
  define('kvmclock_now_relaxed', now('u64', 'plain'));
  define('kvmclock_now_relaxed_ns', now('double', 'plain'));

  const reader = (emit: (context: Context, unstable: Label) => void) => (context: Context) => {
    const unstable = a.label('unstable');
    emit(context, unstable);
    a.ret();
    context.cold.add(() => {
      a.bind(unstable);
      a.movImmediate(rax, -1);
      a.ret();
    });
  };
  define('kvmclock_read_before', reader(emitBefore));
  define('kvmclock_read_rfc', reader(emitRfc));
  const landed = define('kvmclock_read_landed', reader(emitLanded));
  define('kvmclock_read_cached', reader(emitCached));
  define(
    'kvmclock_read_relaxed',
    reader((context, unstable) => emitLanded(context, unstable, 'plain')),
  );
  define('kvmclock_at', (context) => {
    a.mov(eax, { ...rsi, bits: 32 });
    a.mov(rdx, rsi);
    a.shrImmediate(rdx, 32);
    emitLoadBody(a);
    emitBodyToNs(context);
    a.ret();
  });

  define('kvmclock_rdtsc', () => {
    a.rdtsc();
    emitJoinedTsc(a);
  });
  define('kvmclock_rdtsc_lfence', () => {
    a.lfence();
    a.rdtsc();
    emitJoinedTsc(a);
  });
  define('kvmclock_rdtscp', () => {
    a.rdtscp();
    emitJoinedTsc(a);
  });
  define('kvmclock_rdtsc_ordered', (context) => {
    emitRdtscOrdered(context);
    emitJoinedTsc(a);
  });
  define('kvmclock_vcpu', () => {
    emitVcpu(a);
    a.ret();
  });

  const anchor = define('kvmclock_anchor', () => emitAnchor(a, landed, word(DATA.records), word(DATA.offset)));
  define('kvmclock_attach', () => {
    a.push(rbx);
    a.movImmediate(eax, CPUID_EXTENDED_FEATURES);
    a.alu('xor', ecx, ecx);
    a.cpuid();
    a.pop(rbx);
    a.shrImmediate(edx, CPUID_RDTSCP_BIT);
    a.aluImmediate('and', edx, 1);
    a.movByte(word(DATA.hasRdtscp), edx);
    a.mov(word(DATA.records), rdi);
    a.jmp(anchor);
  });

  defineClockGettime(builder, {
    records: word(DATA.records),
    bases: word(DATA.bases),
    asked: word(DATA.asked),
    kernel: word(DATA.kernel),
  });
  defineSample(builder, word(DATA.records), word(DATA.kernel));
  return builder.finish();
}

function emitJoinedTsc(a: Assembler): void {
  a.shlImmediate(rdx, 32);
  a.alu('or', rax, rdx);
  a.ret();
}

/** rax = CLOCK_MONOTONIC_RAW in ns, by the system call. Spoils rcx, rsi, rdi, r11. */
function emitKernelClock(a: Assembler): void {
  a.aluImmediate('sub', rsp, TIMESPEC_BYTES + 8);
  a.movImmediate(eax, SYS_CLOCK_GETTIME);
  a.movImmediate(edi, CLOCK_MONOTONIC_RAW);
  a.mov(rsi, rsp);
  a.syscall();
  a.imulImmediate(rax, mem(rsp, 0), NSEC_PER_SEC);
  a.alu('add', rax, mem(rsp, 8));
  a.aluImmediate('add', rsp, TIMESPEC_BYTES + 8);
}

/**
 * offset = the record's time - the kernel's, with the record read on both sides of the kernel and the middle taken; again
 * where the hypervisor set the clock back between the two. Left as it was where the record is not stable or none is
 * attached. Returns 1 where it was set, else 0.
 */
function emitAnchor(a: Assembler, landed: Label, records: Memory, offset: Memory): void {
  const [again, none, unstable] = [a.label('again'), a.label('none'), a.label('unstable')];
  a.push(rbx);
  a.bind(again);
  a.mov(rdi, records);
  a.test(rdi, rdi);
  a.jcc('e', none);
  a.call(landed);
  a.aluImmediate('cmp', rax, -1);
  a.jcc('e', unstable);
  a.mov(rbx, rax);
  emitKernelClock(a);
  a.push(rax);
  a.mov(rdi, records);
  a.call(landed);
  a.pop(rcx);
  a.aluImmediate('cmp', rax, -1);
  a.jcc('e', unstable);
  a.alu('sub', rax, rbx);
  a.jcc('b', again);
  a.shrImmediate(rax, 1);
  a.alu('add', rax, rbx);
  a.alu('sub', rax, rcx);
  a.mov(offset, rax);
  a.movImmediate(eax, 1);
  a.pop(rbx);
  a.ret();
  a.bind(none);
  a.bind(unstable);
  a.alu('xor', eax, eax);
  a.pop(rbx);
  a.ret();
}
