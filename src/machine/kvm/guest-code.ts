/**
 * The guest's own code: a monitor that calls what its mailbox names, and what only the kernel of a guest may do. The same
 * monitor runs at privilege level 3 (native speed on every KVM) and, where a WRMSR or a HLT is wanted, at level 0.
 */
import { PVTI } from '../../abi/pvti.ts';
import { type Code, CodeBuilder } from '../../vdso/code.ts';
import { eax, edx, mem, r8, rax, rbx, rcx, rdi, rdx, rsi } from '../../vdso/operands.ts';

/** The mailbox: what is to be called and with what, and what it answered. u64 each. */
export const MAILBOX = { function: 0, first: 8, second: 16, result: 24 } as const;

/** The monitor writes to this port when a call is done. Nothing else stands there, with an irqchip neither. */
export const CALL_DONE_PORT = 0x10;

export const GUEST_DATA_BYTES = 8;

export function guestCode(): Code {
  const builder = new CodeBuilder(0);
  const { a } = builder;
  builder.define('guest_monitor', () => {
    // rbx: the mailbox
    const loop = a.label('loop');
    a.bind(loop);
    a.mov(rdi, mem(rbx, MAILBOX.first));
    a.mov(rsi, mem(rbx, MAILBOX.second));
    a.mov(rax, mem(rbx, MAILBOX.function));
    a.call(rax);
    a.mov(mem(rbx, MAILBOX.result), rax);
    a.movImmediate(edx, CALL_DONE_PORT);
    a.outEax();
    a.jmp(loop);
  });
  builder.define('guest_nothing', () => a.ret());
  builder.define('guest_store', () => {
    a.mov(mem(rdi), rsi);
    a.ret();
  });
  builder.define('guest_wrmsr', () => {
    // rdi: number, rsi: value
    a.mov(rcx, rdi);
    a.mov(rax, rsi);
    a.mov(rdx, rsi);
    a.shrImmediate(rdx, 32);
    a.wrmsr();
    a.ret();
  });
  builder.define('guest_wrmsr_zero', () => {
    // rdi: number, rsi: how often
    const again = a.label('again');
    a.mov(rcx, rdi);
    a.movImmediate(eax, 0);
    a.movImmediate(edx, 0);
    a.bind(again);
    a.wrmsr();
    a.aluImmediate('sub', rsi, 1);
    a.jcc('ne', again);
    a.ret();
  });
  builder.define('guest_register', () => {
    // rdi: a system-time MSR, rsi: address | 1; returns the record's version as the next instruction finds it
    a.mov(r8, rsi);
    a.aluImmediate('and', r8, ~1);
    a.mov(rcx, rdi);
    a.mov(rax, rsi);
    a.mov(rdx, rsi);
    a.shrImmediate(rdx, 32);
    a.wrmsr();
    a.mov(eax, mem(r8, PVTI.version));
    a.ret();
  });
  builder.define('guest_rdmsr', () => {
    a.mov(rcx, rdi);
    a.rdmsr();
    a.shlImmediate(rdx, 32);
    a.mov(eax, eax); // clears the high half
    a.alu('or', rax, rdx);
    a.ret();
  });
  builder.define('guest_halt', () => {
    // rdi: where it says, with rsi, that it is about to
    a.mov(mem(rdi), rsi);
    a.hlt();
    a.ret();
  });
  builder.define('guest_spin', () => {
    const forever = a.label('forever');
    a.bind(forever);
    a.pause();
    a.jmp(forever);
  });
  builder.define('guest_fault', () => a.ud2());
  return builder.finish();
}
