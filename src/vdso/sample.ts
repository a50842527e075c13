/**
 * For who keeps a page of bases: the counter that a base counts by, and a reading of the kernel's clock between two of that
 * counter, as close together as can be.
 */
import { CLOCK_MODE } from '../abi/clock-base.ts';
import { emitKernelCall } from './clock-gettime.ts';
import type { CodeBuilder, Context } from './code.ts';
import { eax, edi, type Label, type Memory, mem, rax, rbx, rdi, rdx, rsi } from './operands.ts';
import { emitLanded, emitRdtscOrdered } from './readers.ts';
import type { Assembler } from './x86.ts';

/** The words of kvmclock_sample: it is given mode and clock, and leaves the rest. All u64, of which it takes the low u32 of two. */
export const SAMPLE = { mode: 0, clock: 8, before: 16, sec: 24, nsec: 32, after: 40 } as const;
export const SAMPLE_BYTES = 48;

export function defineSample(builder: CodeBuilder, records: Memory, kernel: Memory): void {
  const counter = builder.define('kvmclock_counter', (context) => emitCounter(context, records));
  builder.define('kvmclock_sample', () => emitSample(builder.a, counter, kernel));
}

/** Returns the counter of the mode in edi, a CLOCK_MODE; 2^64-1 where it has none that can be read. */
function emitCounter(context: Context, records: Memory): void {
  const { a, cold } = context;
  const [notTsc, none] = [a.label('not tsc'), a.label('none')];
  a.aluImmediate('cmp', edi, CLOCK_MODE.TSC);
  a.jcc('ne', notTsc);
  emitRdtscOrdered(context);
  a.shlImmediate(rdx, 32);
  a.alu('or', rax, rdx);
  a.ret();
  cold.add(() => {
    a.bind(notTsc);
    a.aluImmediate('cmp', edi, CLOCK_MODE.PVCLOCK);
    a.jcc('ne', none);
    a.mov(rdi, records);
    a.test(rdi, rdi);
    a.jcc('e', none);
    emitLanded(context, none);
    a.ret();
    a.bind(none);
    a.movImmediate(rax, -1);
    a.ret();
  });
}

/** Counter, kernel, counter, into the words at rdi. Returns 1, or 0 where one of them could not be read. */
function emitSample(a: Assembler, counter: Label, kernel: Memory): void {
  const [failed, out] = [a.label('failed'), a.label('out')];
  const count = (at: number) => {
    a.mov(edi, mem(rbx, SAMPLE.mode));
    a.call(counter);
    a.mov(mem(rbx, at), rax);
    a.aluImmediate('cmp', rax, -1);
    a.jcc('e', failed);
  };
  a.push(rbx);
  a.mov(rbx, rdi);
  count(SAMPLE.before);
  a.mov(edi, mem(rbx, SAMPLE.clock));
  a.lea(rsi, mem(rbx, SAMPLE.sec));
  emitKernelCall(a, kernel);
  a.test(eax, eax);
  a.jcc('ne', failed);
  count(SAMPLE.after);
  a.movImmediate(eax, 1);
  a.bind(out);
  a.pop(rbx);
  a.ret();
  a.bind(failed);
  a.alu('xor', eax, eax);
  a.jmp(out);
}
