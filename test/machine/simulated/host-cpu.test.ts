import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HostCpu, HYPERVISOR_WORDS } from '../../../src/hypervisor/cpu.ts';
import { type BoundedMemory, createWords, sharedMemory } from '../../../src/hypervisor/shared-memory.ts';
import { simulatedHostCpu } from '../../../src/machine/simulated/host-cpu.ts';

type Cpu = HostCpu & BoundedMemory;

/** What every operation of the interface gives, and what is in memory and words after it. */
function history(make: (options: Parameters<typeof sharedMemory>[0]) => Cpu): unknown[] {
  const memory = new SharedArrayBuffer(64);
  const words = createWords(1);
  const kicked: number[] = [];
  const hostClock = { tsc: () => 123n, ns: () => 456n };
  const cpu = make({ memory, words, hostClock, kick: (vcpu) => kicked.push(vcpu) });
  const operations: (() => unknown)[] = [
    () => cpu.store32(8, 0xdeadbeef),
    () => cpu.store64(16, 2n ** 64n - 2n),
    () => cpu.store32(HYPERVISOR_WORDS, 7),
    () => cpu.store64(HYPERVISOR_WORDS + 8, 9n),
    () => [cpu.load32(8), cpu.load64(16), cpu.load32(HYPERVISOR_WORDS), cpu.load64(HYPERVISOR_WORDS + 8)],
    () => [cpu.fetchOr32(8, 0xf), cpu.fetchAndNot32(8, 0xff), cpu.exchange32(8, 5)],
    () => cpu.wait32(8, 6),
    () => [cpu.writeBarrier(), cpu.fence(), cpu.relax(), cpu.wake32(8), cpu.kick(3), kicked],
    () => [cpu.hostTsc(), cpu.hostNs(), cpu.holds(0, 64), cpu.holds(60, 8)],
  ];
  return operations.flatMap((operation) => [
    operation(),
    new Uint8Array(memory.slice()),
    new Uint8Array(words.slice()),
  ]);
}

test('simulatedHostCpu() does what sharedMemory() does, whenever it is held up', () => {
  const expected = history(sharedMemory);
  for (let times = 0; times < 300; times++) assert.deepEqual(history(simulatedHostCpu), expected);
});
