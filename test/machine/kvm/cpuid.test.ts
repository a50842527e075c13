import assert from 'node:assert/strict';
import test from 'node:test';
import { vcpuCpuid } from '../../../src/machine/kvm/cpuid.ts';

const leaf = (number: number, eax: number, ebx = 0, edx = 0) => ({
  function: number,
  index: 0,
  flags: 0,
  eax,
  ebx,
  ecx: 0,
  edx,
});

const SUPPORTED = [
  leaf(0, 13),
  leaf(1, 6, 0x0102_0800),
  leaf(0xb, 1, 2, 9),
  leaf(0x40000000, 0x40000001, 5),
  leaf(0x40000001, 0x0100_7efb),
];

test('vcpuCpuid() gives each vCPU its APIC ID, and leaves the rest', () => {
  const [zero, basic, topology, signature, features] = vcpuCpuid(SUPPORTED, 3);
  assert.deepEqual(zero, SUPPORTED[0]);
  assert.equal(basic!.ebx, 0x0302_0800);
  assert.equal(topology!.edx, 3);
  assert.deepEqual([signature, features], SUPPORTED.slice(3));
});

test("vcpuCpuid() replaces KVM's clock features by ours, and keeps its others", () => {
  const own = (number: number) =>
    number === 0x40000001
      ? { eax: 1 << 3, ebx: 0, ecx: 0, edx: 0 }
      : number === 0x40000000
        ? { eax: 0, ebx: 1, ecx: 2, edx: 3 }
        : undefined;
  const [, , , signature, features] = vcpuCpuid(SUPPORTED, 0, own);
  assert.equal(features!.eax, 0x0000_7efa); // bits 0 and 24 are gone, bit 3 stays
  assert.deepEqual([signature!.ebx, signature!.ecx, signature!.edx], [1, 2, 3]);
});
