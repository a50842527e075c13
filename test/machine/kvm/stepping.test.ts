import assert from 'node:assert/strict';
import test from 'node:test';
import { PVTI, PVTI_BYTES } from '../../../src/abi/pvti.ts';
import { lineAt } from '../../../src/guest/sequence.ts';
import { Guest } from '../../../src/machine/kvm/guest.ts';
import { accessAt, type GuestAccess, SteppedCall } from '../../../src/machine/kvm/stepping.ts';
import { clockCode, DATA_BYTES } from '../../../src/vdso/clock.ts';
import { buildImage } from '../../../src/vdso/image.ts';
import { type Decoded, decodeAll } from '../../vdso/decode.ts';
import { kvmTest, realKvm } from './real-kvm.ts';

const RDI = 7;
const AT = 0x10_0000;

/** The same by a decoder that knows every instruction. */
function decodedAccess({ mnemonic, operands }: Decoded): GuestAccess | undefined {
  if (mnemonic === 'rdtsc' || mnemonic === 'rdtscp') return { kind: 'tsc' };
  if (mnemonic === 'lsl') return { kind: 'vcpu' };
  const memory = operands.find((operand) => operand.kind === 'memory');
  if (memory === undefined || memory.base !== RDI || mnemonic === 'lea') return undefined;
  return { kind: 'load', address: AT + Number(memory.displacement) };
}

test('accessAt() finds the accesses of every reader, as a full decoder does, and no others', () => {
  const { file, codeAt, symbols } = buildImage(clockCode(), 'kvmclock.so', DATA_BYTES);
  const readers = symbols.filter(({ name }) => name.startsWith('kvmclock_read_'));
  assert.ok(readers.length >= 5);
  for (const { name, at, bytes } of readers) {
    const code = file.subarray(codeAt + at, codeAt + at + bytes);
    const padded = new Uint8Array(bytes + 16);
    padded.set(code);
    for (const instruction of decodeAll(code)) {
      const found = accessAt(padded.subarray(Number(instruction.at)), { rdi: BigInt(AT) });
      assert.deepEqual(found, decodedAccess(instruction), `${name}: ${instruction.text}`);
    }
  }
});

test('accessAt() takes for a load what goes by an address in rdi, however far, RDTSC and RDTSCP for the TSC, and nothing else for either', () => {
  const accessOf = (...code: number[]) =>
    accessAt(Uint8Array.from([...code, ...new Uint8Array(16)]), { rdi: BigInt(AT) });
  const loads = [
    [[0x8b, 0x07], 0], // mov eax, [rdi]
    [[0x48, 0x8b, 0x47, 0xf8], -8],
    [[0x8b, 0x87, 0x00, 0xf0, 0xff, 0xff], -4096],
  ] as const;
  for (const [code, offset] of loads) assert.deepEqual(accessOf(...code), { kind: 'load', address: AT + offset });
  const others = [
    [0x8b, 0xc7], // mov eax, edi
    [0x8b, 0x06], // mov eax, [rsi]
    [0x41, 0x8b, 0x07], // mov eax, [r15]
    [0x89, 0x07], // mov [rdi], eax
    [0x0f, 0x01, 0xd0], // xgetbv
  ];
  for (const code of [
    [0x0f, 0x31],
    [0x0f, 0x01, 0xf9],
  ])
    assert.deepEqual(accessOf(...code), { kind: 'tsc' });
  for (const code of others) assert.equal(accessOf(...code), undefined, `${code}`);
});

kvmTest('SteppedCall stops behind each access, and ends with what a whole call gives', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 2 });
  const at = guest.allocate(PVTI_BYTES);
  const { view } = guest.vm.memory;
  view.setUint32(at + PVTI.version, 2, true);
  view.setUint32(at + PVTI.tscToSystemMul, 0x8000_0000, true);
  view.setUint8(at + PVTI.flags, 1);
  const call = new SteppedCall(guest, 'kvmclock_read_landed', at, 0);
  new SteppedCall(guest, 'kvmclock_read_landed', at, 0); // another has a stack of its own
  const offsets: (number | string)[] = [];
  let tsc = 0n;
  for (let vcpu = 0, access = await call.next(0); access !== undefined; vcpu ^= 1, access = await call.next(vcpu)) {
    offsets.push(access.kind === 'load' ? access.address - at : access.kind);
    if (access.kind === 'tsc') {
      tsc = access.value;
      view.setBigUint64(at + PVTI.systemTime, 1_000_000n, true); // read after the TSC
    }
  }
  const { version, flags, tscToSystemMul, tscShift, systemTime, tscTimestamp } = PVTI;
  assert.deepEqual(offsets, [version, flags, 'tsc', tscToSystemMul, tscShift, systemTime, tscTimestamp, version]);
  assert.equal(call.result, lineAt(tsc, 0n, 1_000_000n, 0x8000_0000, 0));
});

kvmTest('SteppedCall leaves each vCPU as it was, for whole calls too', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 2 });
  const call = new SteppedCall(guest, 'kvmclock_read_before', guest.recordAt(0), 0);
  for (const vcpu of [1, 0]) {
    const access = await call.next(vcpu);
    if (vcpu === 1) assert.deepEqual(access, { kind: 'vcpu', value: 1n });
    assert.equal(await guest.call(vcpu, 'kvmclock_vcpu'), BigInt(vcpu));
  }
});

kvmTest('SteppedCall rejects where an instruction faults', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 1 });
  const call = new SteppedCall(guest, 'kvmclock_read_landed', 0, 0);
  await assert.rejects(call.next(0), /vCPU 0: a single step ended with/);
});
