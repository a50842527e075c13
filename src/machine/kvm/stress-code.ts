/**
 * The stress program of the measuring guest: reads by a reader, and copies of records under their versions, against whatever
 * the host does meanwhile.
 */
import { PVTI } from '../../abi/pvti.ts';
import {
  ecx,
  esi,
  type Label,
  mem,
  type Register,
  r8,
  r9,
  r10,
  r11,
  r12,
  r13,
  r14,
  r15,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rsi,
} from '../../vdso/operands.ts';
import type { Assembler } from '../../vdso/x86.ts';

/**
 * sample_stress: until the word at `stop` is not 0, on several vCPUs at once: reads with `callee(first, second)` against the latest
 * time that anybody was given (at `shared`); then copies record 0 (`first`) and this vCPU's record (`own`) under their versions.
 * `retries`: copies of record 0 that were begun again; `torn`: copies that differ from an earlier one of the same version,
 * as kept in `table` (STRESS_TABLE_BYTES); `stale`: copies of record 0 that are on another line than this vCPU's own record,
 * which stayed as it was meanwhile; `unstable`: readings refused as not stable.
 */
export const SAMPLE_STRESS = {
  callee: 0,
  first: 8,
  second: 16,
  stop: 24,
  shared: 32,
  own: 40,
  table: 48,
  reads: 56,
  unstable: 64,
  warps: 72,
  worstNs: 80,
  stalls: 88,
  retries: 96,
  torn: 104,
  stale: 112,
} as const;
export const SAMPLE_STRESS_BYTES = 120;

const TABLE_ENTRIES = 4096;
const ENTRY_SHIFT = 5;
export const STRESS_TABLE_BYTES = TABLE_ENTRIES << ENTRY_SHIFT;

/** The program's body; rbx = the block. r12 = record 0, r13 = own record, r15 = 1 for adding in memory. */
export function emitStress(a: Assembler): void {
  const [loop, inspect, done] = [a.label('loop'), a.label('inspect'), a.label('done')];
  a.mov(r12, mem(rbx, SAMPLE_STRESS.first));
  a.mov(r13, mem(rbx, SAMPLE_STRESS.own));
  a.movImmediate(r15, 1);
  a.bind(loop);
  a.mov(rax, mem(rbx, SAMPLE_STRESS.stop));
  a.mov(rax, mem(rax));
  a.test(rax, rax);
  a.jcc('ne', done);
  emitStressRead(a, inspect);
  a.bind(inspect);
  emitInspect(a, loop);
  a.jmp(loop);
  a.bind(done);
}

/** One reading by the reader, held against the latest that anybody was given. */
function emitStressRead(a: Assembler, next: Label): void {
  const [stable, behind, same] = [a.label('stable'), a.label('behind'), a.label('same')];
  a.mov(rbp, mem(rbx, SAMPLE_STRESS.shared));
  a.mov(r14, mem(rbp)); // before the reading, which is ordered after it
  emitCallee(a);
  a.alu('add', mem(rbx, SAMPLE_STRESS.reads), r15);
  a.aluImmediate('cmp', rax, -1);
  a.jcc('ne', stable);
  a.alu('add', mem(rbx, SAMPLE_STRESS.unstable), r15);
  a.jmp(next);
  a.bind(behind);
  a.alu('add', mem(rbx, SAMPLE_STRESS.warps), r15);
  a.alu('sub', r14, rax);
  a.alu('cmp', r14, mem(rbx, SAMPLE_STRESS.worstNs));
  a.jcc('be', next);
  a.mov(mem(rbx, SAMPLE_STRESS.worstNs), r14);
  a.jmp(next);
  a.bind(same);
  a.alu('add', mem(rbx, SAMPLE_STRESS.stalls), r15);
  a.jmp(next);
  a.bind(stable);
  a.alu('cmp', rax, r14);
  a.jcc('b', behind);
  a.jcc('e', same);
  a.mov(r8, rax);
  a.mov(rax, r14);
  a.lockCmpxchg(mem(rbp), r8); // where another was faster, its time stands
}

/** Copies own record, record 0, and looks at own record again. */
function emitInspect(a: Assembler, loop: Label): void {
  const [ownAgain, again, copied, known, torn, compare] = [
    'own again',
    'again',
    'copied',
    'known',
    'torn',
    'compare',
  ].map((name) => a.label(name)) as [Label, Label, Label, Label, Label, Label];
  const own = [r9, r10, r11] as const;
  a.bind(ownAgain);
  emitCopy(a, r13, own, ownAgain);
  a.mov(rbp, rsi); // own version
  const retried = a.label('retried');
  a.bind(again);
  emitCopy(a, r12, [r8, r14, rax], retried);
  a.jmp(copied);
  a.bind(retried);
  a.alu('add', mem(rbx, SAMPLE_STRESS.retries), r15);
  a.jmp(again);
  a.bind(copied);
  // rsi = the version of record 0, r8 r14 rax = its body
  a.mov(rdi, rsi);
  a.shrImmediate(rdi, 1);
  a.aluImmediate('and', rdi, TABLE_ENTRIES - 1);
  a.shlImmediate(rdi, ENTRY_SHIFT);
  a.alu('add', rdi, mem(rbx, SAMPLE_STRESS.table));
  a.alu('cmp', rsi, mem(rdi, 0));
  a.jcc('e', known);
  a.mov(mem(rdi, 0), rsi);
  a.mov(mem(rdi, 8), r8);
  a.mov(mem(rdi, 16), r14);
  a.mov(mem(rdi, 24), rax);
  a.jmp(compare);
  a.bind(known);
  a.alu('cmp', r8, mem(rdi, 8));
  a.jcc('ne', torn);
  a.alu('cmp', r14, mem(rdi, 16));
  a.jcc('ne', torn);
  a.alu('cmp', rax, mem(rdi, 24));
  a.jcc('e', compare);
  a.bind(torn);
  a.alu('add', mem(rbx, SAMPLE_STRESS.torn), r15);
  a.bind(compare);
  const differs = a.label('differs');
  a.alu('cmp', r8, own[0]);
  a.jcc('ne', differs);
  a.alu('cmp', r14, own[1]);
  a.jcc('ne', differs);
  a.alu('cmp', rax, own[2]);
  a.jcc('e', loop);
  a.bind(differs);
  a.mov(ecx, mem(r13, PVTI.version));
  a.alu('cmp', rbp, rcx);
  a.jcc('ne', loop); // this vCPU was told something new meanwhile
  a.alu('add', mem(rbx, SAMPLE_STRESS.stale), r15);
}

/** rsi = the even version of `record`, `body` = its three words; to `retry` where it was being written. Spoils ecx. */
function emitCopy(a: Assembler, record: Register, body: readonly [Register, Register, Register], retry: Label): void {
  a.mov(esi, mem(record, PVTI.version));
  a.aluImmediate('and', esi, ~1);
  a.mov(body[0], mem(record, PVTI.tscTimestamp));
  a.mov(body[1], mem(record, PVTI.systemTime));
  a.mov(body[2], mem(record, PVTI.tscToSystemMul));
  a.alu('cmp', mem(record, PVTI.version), esi);
  a.jcc('ne', retry);
}

function emitCallee(a: Assembler): void {
  a.mov(rdi, mem(rbx, SAMPLE_STRESS.first));
  a.mov(rsi, mem(rbx, SAMPLE_STRESS.second));
  a.mov(rax, mem(rbx, SAMPLE_STRESS.callee));
  a.call(rax);
}
