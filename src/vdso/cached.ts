/** guest/cached.ts as machine code: the line is kept in memory that the caller owns. */
import { PVCLOCK_TSC_STABLE_BIT, PVTI } from '../abi/pvti.ts';
import type { Context } from './code.ts';
import { eax, ecx, edx, type Label, mem, r8, r9, r10, r11, rax, rcx, rdi, rsi } from './operands.ts';
import { emitFactorAndMask, emitLanded, emitLine, emitLoadBody, emitRdtscOrdered } from './readers.ts';
import type { Assembler } from './x86.ts';

/** The words of a CachedLine in memory, at rsi: what the factor needs is made once. An empty line is 2^64-1 throughout. */
export const LINE = { version: 0, tscTimestamp: 8, systemTime: 16, mask: 24, factor: 32 } as const;
export const LINE_BYTES = 40;

/** guest/cached.ts. A record whose shift is not in -31..0 is never kept: it is read as `landed` does. */
export function emitCached(context: Context, unstable: Label): void {
  const { a, cold } = context;
  const [retry, refill] = [a.label('retry'), a.label('refill')];
  a.bind(retry);
  emitRdtscOrdered(context);
  a.mov(ecx, mem(rdi, PVTI.version)); // zero-extended: an empty line's 64 bits match no version
  a.alu('cmp', rcx, mem(rsi, LINE.version));
  a.jcc('ne', refill);
  a.mov(r8, mem(rsi, LINE.tscTimestamp));
  a.mov(r9, mem(rsi, LINE.mask));
  a.mov(r10, mem(rsi, LINE.factor));
  a.mov(r11, mem(rsi, LINE.systemTime));
  emitLine(a);
  cold.add(() => {
    a.bind(refill);
    emitRefill(context, retry, unstable);
  });
}

function emitRefill(context: Context, retry: Label, unstable: Label): void {
  const { a } = context;
  const [again, changed] = [a.label('again'), a.label('changed')];
  const [notStable, uncached] = [a.label('not stable'), a.label('uncached')];
  a.bind(again);
  a.mov(eax, mem(rdi, PVTI.version));
  a.aluImmediate('and', eax, ~1);
  a.movzxByte(edx, mem(rdi, PVTI.flags));
  emitLoadBody(a);
  a.alu('cmp', mem(rdi, PVTI.version), eax);
  a.jcc('ne', changed);
  a.aluImmediate('and', edx, PVCLOCK_TSC_STABLE_BIT);
  a.jcc('e', notStable);
  emitFactorAndMask(a, uncached);
  a.mov(mem(rsi, LINE.version), rax);
  a.mov(mem(rsi, LINE.tscTimestamp), r8);
  a.mov(mem(rsi, LINE.systemTime), r11);
  a.mov(mem(rsi, LINE.mask), r9);
  a.mov(mem(rsi, LINE.factor), r10);
  a.pause();
  a.jmp(retry);
  a.bind(changed);
  a.pause();
  a.jmp(again);
  a.bind(notStable);
  emitForget(a);
  a.jmp(unstable);
  a.bind(uncached);
  emitForget(a);
  emitLanded(context, unstable);
  a.ret();
}

/** Empties the line. */
function emitForget(a: Assembler): void {
  a.movImmediate(rax, -1);
  a.mov(mem(rsi, LINE.version), rax);
}
