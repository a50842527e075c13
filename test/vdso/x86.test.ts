import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  eax,
  ebx,
  ecx,
  edi,
  edx,
  esi,
  mem,
  r8,
  r8d,
  r9,
  r9d,
  r10,
  r10d,
  r11,
  r12,
  r12d,
  r13,
  r13d,
  r14,
  r15,
  r15d,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  rsp,
} from '../../src/vdso/operands.ts';
import { Assembler } from '../../src/vdso/x86.ts';
import { decodeAll } from './decode.ts';

/** `bytes` are what GNU as makes of `text`, but for three rows where it has a shorter form of the same instruction. */
function expectBytes(text: string, bytes: string, emit: (a: Assembler) => void): void {
  test(text, () => {
    const a = new Assembler();
    emit(a);
    const code = a.finish();
    assert.equal(hex(code), bytes);
    const decoded = decodeAll(code);
    assert.deepEqual(
      decoded.map((instruction) => instruction.text),
      [text],
    );
  });
}

function hex(code: Uint8Array): string {
  return Array.from(code, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

describe('mov', () => {
  expectBytes('mov eax, ecx', '89 c8', (a) => a.mov(eax, ecx));
  expectBytes('mov rax, rcx', '48 89 c8', (a) => a.mov(rax, rcx));
  expectBytes('mov r8, rax', '49 89 c0', (a) => a.mov(r8, rax));
  expectBytes('mov rax, r8', '4c 89 c0', (a) => a.mov(rax, r8));
  expectBytes('mov r9d, edi', '41 89 f9', (a) => a.mov(r9d, edi));
  expectBytes('mov edi, r9d', '44 89 cf', (a) => a.mov(edi, r9d));
  expectBytes('mov eax, [rdi+24]', '8b 47 18', (a) => a.mov(eax, mem(rdi, 24)));
  expectBytes('mov r10d, [rdi+24]', '44 8b 57 18', (a) => a.mov(r10d, mem(rdi, 24)));
  expectBytes('mov r8, [rdi+8]', '4c 8b 47 08', (a) => a.mov(r8, mem(rdi, 8)));
  expectBytes('mov rax, [rsi]', '48 8b 06', (a) => a.mov(rax, mem(rsi)));
  expectBytes('mov [rdi], rax', '48 89 07', (a) => a.mov(mem(rdi), rax));
  expectBytes('mov [rdi+4], eax', '89 47 04', (a) => a.mov(mem(rdi, 4), eax));
  expectBytes('mov [r9+16], r10', '4d 89 51 10', (a) => a.mov(mem(r9, 16), r10));
});

describe('addresses', () => {
  expectBytes('mov rax, [rsp]', '48 8b 04 24', (a) => a.mov(rax, mem(rsp)));
  expectBytes('mov rax, [rsp+8]', '48 8b 44 24 08', (a) => a.mov(rax, mem(rsp, 8)));
  expectBytes('mov rax, [rsp+128]', '48 8b 84 24 80 00 00 00', (a) => a.mov(rax, mem(rsp, 128)));
  expectBytes('mov [rsp-8], rdi', '48 89 7c 24 f8', (a) => a.mov(mem(rsp, -8), rdi));
  expectBytes('mov [rsp-24], r8d', '44 89 44 24 e8', (a) => a.mov(mem(rsp, -24), r8d));
  expectBytes('mov rax, [r12]', '49 8b 04 24', (a) => a.mov(rax, mem(r12)));
  expectBytes('mov rax, [r12+8]', '49 8b 44 24 08', (a) => a.mov(rax, mem(r12, 8)));
  expectBytes('mov rax, [r12+4096]', '49 8b 84 24 00 10 00 00', (a) => a.mov(rax, mem(r12, 4096)));
  expectBytes('mov rax, [rbp]', '48 8b 45 00', (a) => a.mov(rax, mem(rbp)));
  expectBytes('mov rax, [rbp+8]', '48 8b 45 08', (a) => a.mov(rax, mem(rbp, 8)));
  expectBytes('mov rax, [r13]', '49 8b 45 00', (a) => a.mov(rax, mem(r13)));
  expectBytes('mov rax, [r13-8]', '49 8b 45 f8', (a) => a.mov(rax, mem(r13, -8)));
  expectBytes('mov eax, [rbx+127]', '8b 43 7f', (a) => a.mov(eax, mem(rbx, 127)));
  expectBytes('mov eax, [rbx+128]', '8b 83 80 00 00 00', (a) => a.mov(eax, mem(rbx, 128)));
  expectBytes('mov eax, [rbx-128]', '8b 43 80', (a) => a.mov(eax, mem(rbx, -128)));
  expectBytes('mov eax, [rbx-129]', '8b 83 7f ff ff ff', (a) => a.mov(eax, mem(rbx, -129)));
  expectBytes('mov eax, [rbx+2147483647]', '8b 83 ff ff ff 7f', (a) => a.mov(eax, mem(rbx, 2147483647)));
  expectBytes('mov eax, [rbx-2147483648]', '8b 83 00 00 00 80', (a) => a.mov(eax, mem(rbx, -2147483648)));
  expectBytes('lea rax, [rdx+r11]', '4a 8d 04 1a', (a) => a.lea(rax, { base: rdx, index: r11, displacement: 0 }));
  expectBytes('lea r9d, [rcx+31]', '44 8d 49 1f', (a) => a.lea(r9d, mem(rcx, 31)));
  expectBytes('lea rax, [rbp+rax]', '48 8d 44 05 00', (a) => a.lea(rax, { base: rbp, index: rax, displacement: 0 }));
  expectBytes('lea rax, [r13+r14+8]', '4b 8d 44 35 08', (a) => a.lea(rax, { base: r13, index: r14, displacement: 8 }));
  expectBytes('lea r15, [rsp+rbp+1000]', '4c 8d bc 2c e8 03 00 00', (a) =>
    a.lea(r15, { base: rsp, index: rbp, displacement: 1000 }),
  );
  expectBytes('lea rcx, [r12+r12]', '4b 8d 0c 24', (a) => a.lea(rcx, { base: r12, index: r12, displacement: 0 }));
  expectBytes('lea rdx, [rdx+r13-1]', '4a 8d 54 2a ff', (a) => a.lea(rdx, { base: rdx, index: r13, displacement: -1 }));
});

describe('movImmediate', () => {
  expectBytes('mov eax, 0', 'b8 00 00 00 00', (a) => a.movImmediate(eax, 0));
  expectBytes('mov eax, 228', 'b8 e4 00 00 00', (a) => a.movImmediate(eax, 228));
  expectBytes('mov r9d, 1', '41 b9 01 00 00 00', (a) => a.movImmediate(r9d, 1));
  expectBytes('mov ecx, -1', 'b9 ff ff ff ff', (a) => a.movImmediate(ecx, -1));
  expectBytes('mov eax, -2147483647', 'b8 01 00 00 80', (a) => a.movImmediate(eax, 0x80000001));
  expectBytes('mov edi, -1', 'bf ff ff ff ff', (a) => a.movImmediate(edi, 4294967295));
  expectBytes('mov rax, 1', '48 c7 c0 01 00 00 00', (a) => a.movImmediate(rax, 1));
  expectBytes('mov rax, -1', '48 c7 c0 ff ff ff ff', (a) => a.movImmediate(rax, -1));
  expectBytes('mov r9, -1', '49 c7 c1 ff ff ff ff', (a) => a.movImmediate(r9, -1));
  expectBytes('mov rdx, 2147483647', '48 c7 c2 ff ff ff 7f', (a) => a.movImmediate(rdx, 2147483647));
  expectBytes('mov r15, -2147483648', '49 c7 c7 00 00 00 80', (a) => a.movImmediate(r15, -2147483648));
});

describe('bytes', () => {
  expectBytes('movzx r8d, byte [rdi+29]', '44 0f b6 47 1d', (a) => a.movzxByte(r8d, mem(rdi, 29)));
  expectBytes('movzx edx, byte [rdi+29]', '0f b6 57 1d', (a) => a.movzxByte(edx, mem(rdi, 29)));
  expectBytes('movzx eax, byte [r13]', '41 0f b6 45 00', (a) => a.movzxByte(eax, mem(r13)));
  expectBytes('movsx ecx, byte [rdi+28]', '0f be 4f 1c', (a) => a.movsxByte(ecx, mem(rdi, 28)));
  expectBytes('movsx r12d, byte [r12+28]', '45 0f be 64 24 1c', (a) => a.movsxByte(r12d, mem(r12, 28)));
  expectBytes('test byte [rdi+29], 1', 'f6 47 1d 01', (a) => a.testByte(mem(rdi, 29), 1));
  expectBytes('test byte [rsp-24], 1', 'f6 44 24 e8 01', (a) => a.testByte(mem(rsp, -24), 1));
  expectBytes('test byte [r13], -1', '41 f6 45 00 ff', (a) => a.testByte(mem(r13), 255));
  expectBytes('cmp byte [rax], 0', '80 38 00', (a) => a.cmpByte(mem(rax), 0));
  expectBytes('cmp byte [r12+128], 127', '41 80 bc 24 80 00 00 00 7f', (a) => a.cmpByte(mem(r12, 128), 127));
  expectBytes('mov [rdi], dl', '88 17', (a) => a.movByte(mem(rdi), edx));
  expectBytes('mov [r9+1], bl', '41 88 59 01', (a) => a.movByte(mem(r9, 1), ebx));
  expectBytes('mov [rbp], al', '88 45 00', (a) => a.movByte(mem(rbp), rax));
});

describe('alu', () => {
  expectBytes('add rax, rdx', '48 01 d0', (a) => a.alu('add', rax, rdx));
  expectBytes('adc rax, r9', '4c 11 c8', (a) => a.alu('adc', rax, r9));
  expectBytes('or rax, r8', '4c 09 c0', (a) => a.alu('or', rax, r8));
  expectBytes('and rax, r9', '4c 21 c8', (a) => a.alu('and', rax, r9));
  expectBytes('sub r14, r15', '4d 29 fe', (a) => a.alu('sub', r14, r15));
  expectBytes('xor ecx, ecx', '31 c9', (a) => a.alu('xor', ecx, ecx));
  expectBytes('cmp r8d, eax', '41 39 c0', (a) => a.alu('cmp', r8d, eax));
  expectBytes('cmp [rdi], esi', '39 37', (a) => a.alu('cmp', mem(rdi), esi));
  expectBytes('cmp rcx, [rsi]', '48 3b 0e', (a) => a.alu('cmp', rcx, mem(rsi)));
  expectBytes('add [rbx+40], r15', '4c 01 7b 28', (a) => a.alu('add', mem(rbx, 40), r15));
  expectBytes('sub eax, [r13+4]', '41 2b 45 04', (a) => a.alu('sub', eax, mem(r13, 4)));
  expectBytes('xor [r12], r9d', '45 31 0c 24', (a) => a.alu('xor', mem(r12), r9d));
  expectBytes('or r10, [rsp+16]', '4c 0b 54 24 10', (a) => a.alu('or', r10, mem(rsp, 16)));
  expectBytes('and [rbp], rdx', '48 21 55 00', (a) => a.alu('and', mem(rbp), rdx));
});

describe('aluImmediate', () => {
  expectBytes('and esi, -2', '83 e6 fe', (a) => a.aluImmediate('and', esi, -2));
  expectBytes('cmp ecx, 31', '83 f9 1f', (a) => a.aluImmediate('cmp', ecx, 31));
  expectBytes('add rsp, 24', '48 83 c4 18', (a) => a.aluImmediate('add', rsp, 24));
  expectBytes('sub rsp, 127', '48 83 ec 7f', (a) => a.aluImmediate('sub', rsp, 127));
  expectBytes('sub rsp, 128', '48 81 ec 80 00 00 00', (a) => a.aluImmediate('sub', rsp, 128));
  expectBytes('add r12, -128', '49 83 c4 80', (a) => a.aluImmediate('add', r12, -128));
  expectBytes('add r12, -129', '49 81 c4 7f ff ff ff', (a) => a.aluImmediate('add', r12, -129));
  expectBytes('adc rdx, 0', '48 83 d2 00', (a) => a.aluImmediate('adc', rdx, 0));
  expectBytes('or edx, 1', '83 ca 01', (a) => a.aluImmediate('or', edx, 1));
  expectBytes('xor r9d, 256', '41 81 f1 00 01 00 00', (a) => a.aluImmediate('xor', r9d, 256));
  expectBytes('and ebx, 4095', '81 e3 ff 0f 00 00', (a) => a.aluImmediate('and', ebx, 0xfff));
  expectBytes('cmp r15, 2147483647', '49 81 ff ff ff ff 7f', (a) => a.aluImmediate('cmp', r15, 2147483647));
  expectBytes('cmp rbp, -2147483648', '48 81 fd 00 00 00 80', (a) => a.aluImmediate('cmp', rbp, -2147483648));
  expectBytes('cmp dword [rdi], 0', '83 3f 00', (a) => a.aluImmediate('cmp', mem(rdi), 0));
  expectBytes('add qword [rbx+40], 1', '48 83 43 28 01', (a) => a.aluImmediate('add', mem(rbx, 40), 1, 64));
  expectBytes('and dword [r13], -2', '41 83 65 00 fe', (a) => a.aluImmediate('and', mem(r13), -2));
  expectBytes('sub dword [r12+8], 1000', '41 81 6c 24 08 e8 03 00 00', (a) => a.aluImmediate('sub', mem(r12, 8), 1000));
  expectBytes('or qword [rsp], 1000', '48 81 0c 24 e8 03 00 00', (a) => a.aluImmediate('or', mem(rsp), 1000, 64));
});

describe('test', () => {
  expectBytes('test rdi, rdi', '48 85 ff', (a) => a.test(rdi, rdi));
  expectBytes('test ecx, ecx', '85 c9', (a) => a.test(ecx, ecx));
  expectBytes('test r8, rax', '49 85 c0', (a) => a.test(r8, rax));
  expectBytes('test eax, r9d', '44 85 c8', (a) => a.test(eax, r9d));
});

describe('shifts', () => {
  expectBytes('shl rdx, 32', '48 c1 e2 20', (a) => a.shlImmediate(rdx, 32));
  expectBytes('shl r10, 63', '49 c1 e2 3f', (a) => a.shlImmediate(r10, 63));
  expectBytes('shl eax, 0', 'c1 e0 00', (a) => a.shlImmediate(eax, 0));
  expectBytes('shr edx, 27', 'c1 ea 1b', (a) => a.shrImmediate(edx, 27));
  expectBytes('shr rax, 1', '48 c1 e8 01', (a) => a.shrImmediate(rax, 1));
  expectBytes('shr r9d, 31', '41 c1 e9 1f', (a) => a.shrImmediate(r9d, 31));
  expectBytes('shl r9, cl', '49 d3 e1', (a) => a.shlCl(r9));
  expectBytes('shr rax, cl', '48 d3 e8', (a) => a.shrCl(rax));
  expectBytes('shr r15d, cl', '41 d3 ef', (a) => a.shrCl(r15d));
  expectBytes('shrd rax, rdx, 32', '48 0f ac d0 20', (a) => a.shrd(rax, rdx, 32));
  expectBytes('shrd r9, r10, 63', '4d 0f ac d1 3f', (a) => a.shrd(r9, r10, 63));
  expectBytes('shrd eax, r8d, 31', '44 0f ac c0 1f', (a) => a.shrd(eax, r8d, 31));
  expectBytes('shrd rax, rdx, cl', '48 0f ad d0', (a) => a.shrdCl(rax, rdx));
  expectBytes('shrd r9d, r15d, cl', '45 0f ad f9', (a) => a.shrdCl(r9d, r15d));
});

describe('multiply and divide', () => {
  expectBytes('neg ecx', 'f7 d9', (a) => a.neg(ecx));
  expectBytes('neg r11', '49 f7 db', (a) => a.neg(r11));
  expectBytes('mul r10', '49 f7 e2', (a) => a.mul(r10));
  expectBytes('mul qword [rsi+32]', '48 f7 66 20', (a) => a.mul(mem(rsi, 32)));
  expectBytes('mul dword [r12]', '41 f7 24 24', (a) => a.mul(mem(r12), 32));
  expectBytes('imul rax, 64', '48 69 c0 40 00 00 00', (a) => a.imulImmediate(rax, rax, 64));
  expectBytes('imul rax, [rsp], 1000000000', '48 69 04 24 00 ca 9a 3b', (a) =>
    a.imulImmediate(rax, mem(rsp), 1000000000),
  );
  expectBytes('imul r9, r10, -1', '4d 69 ca ff ff ff ff', (a) => a.imulImmediate(r9, r10, -1));
  expectBytes('imul ecx, edx, -2147483648', '69 ca 00 00 00 80', (a) => a.imulImmediate(ecx, edx, -2147483648));
  expectBytes('imul r13d, [r13], 2147483647', '45 69 6d 00 ff ff ff 7f', (a) =>
    a.imulImmediate(r13d, mem(r13), 2147483647),
  );
  expectBytes('div rcx', '48 f7 f1', (a) => a.div(rcx));
  expectBytes('div r8d', '41 f7 f0', (a) => a.div(r8d));
});

describe('stack', () => {
  expectBytes('push rax', '50', (a) => a.push(rax));
  expectBytes('push rbx', '53', (a) => a.push(rbx));
  expectBytes('push r8', '41 50', (a) => a.push(r8));
  expectBytes('push r15', '41 57', (a) => a.push(r15));
  expectBytes('pop rax', '58', (a) => a.pop(rax));
  expectBytes('pop rbp', '5d', (a) => a.pop(rbp));
  expectBytes('pop r12', '41 5c', (a) => a.pop(r12));
});

describe('call', () => {
  expectBytes('call rax', 'ff d0', (a) => a.call(rax));
  expectBytes('call r13', '41 ff d5', (a) => a.call(r13));
});

describe('locked', () => {
  expectBytes('lock cmpxchg [r13], r8', 'f0 4d 0f b1 45 00', (a) => a.lockCmpxchg(mem(r13), r8));
  expectBytes('lock cmpxchg [rdi+8], rcx', 'f0 48 0f b1 4f 08', (a) => a.lockCmpxchg(mem(rdi, 8), rcx));
  expectBytes('lock cmpxchg [r12], edx', 'f0 41 0f b1 14 24', (a) => a.lockCmpxchg(mem(r12), edx));
  expectBytes('xchg rax, [rdi]', '48 87 07', (a) => a.xchg(mem(rdi), rax));
  expectBytes('xchg r9, [rsp+8]', '4c 87 4c 24 08', (a) => a.xchg(mem(rsp, 8), r9));
});

describe('segment limits and doubles', () => {
  expectBytes('lsl eax, ecx', '0f 03 c1', (a) => a.lsl(eax, ecx));
  expectBytes('lsl r8d, r9d', '45 0f 03 c1', (a) => a.lsl(r8d, r9d));
  expectBytes('cvtsi2sd xmm0, rax', 'f2 48 0f 2a c0', (a) => a.cvtsi2sd(rax));
  expectBytes('cvtsi2sd xmm0, r9', 'f2 49 0f 2a c1', (a) => a.cvtsi2sd(r9));
  expectBytes('cvtsi2sd xmm0, rdx', 'f2 48 0f 2a c2', (a) => a.cvtsi2sd(rdx));
  expectBytes('addsd xmm0, xmm0', 'f2 0f 58 c0', (a) => a.doubleXmm0());
  expectBytes('pxor xmm0, xmm0', '66 0f ef c0', (a) => a.zeroXmm0());
});

describe('no operands', () => {
  expectBytes('ret', 'c3', (a) => a.ret());
  expectBytes('rdtsc', '0f 31', (a) => a.rdtsc());
  expectBytes('rdtscp', '0f 01 f9', (a) => a.rdtscp());
  expectBytes('lfence', '0f ae e8', (a) => a.lfence());
  expectBytes('mfence', '0f ae f0', (a) => a.mfence());
  expectBytes('pause', 'f3 90', (a) => a.pause());
  expectBytes('cpuid', '0f a2', (a) => a.cpuid());
  expectBytes('syscall', '0f 05', (a) => a.syscall());
  expectBytes('out dx, eax', 'ef', (a) => a.outEax());
  expectBytes('out dx, al', 'ee', (a) => a.outAl());
  expectBytes('hlt', 'f4', (a) => a.hlt());
  expectBytes('ud2', '0f 0b', (a) => a.ud2());
  expectBytes('wrmsr', '0f 30', (a) => a.wrmsr());
  expectBytes('rdmsr', '0f 32', (a) => a.rdmsr());
});
