import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostCpu } from '../../src/hypervisor/cpu.ts';
import {
  loadMasterCopy,
  loadMasterCopyOffsetAfter,
  type MasterCopy,
  storeMasterCopy,
} from '../../src/hypervisor/master-copy.ts';
import { writeRecord } from '../../src/hypervisor/record.ts';
import { VM_WORDS, vmWord } from '../../src/hypervisor/words.ts';
import { type BareVm, bareVm, copyAt } from './bare-vm.ts';
import { Thread } from './stepper.ts';
import { type StoreOrder, WATCHES, withoutBarriers } from './weak-stores.ts';

const UNSTABLE: MasterCopy = { ...copyAt(1n), useMasterClock: false };

const textOf = ({ useMasterClock, masterKernelNs, masterCycleNow, kvmclockOffset }: MasterCopy): string =>
  `${useMasterClock} ${masterKernelNs} ${masterCycleNow} ${kvmclockOffset}`;

test('loadMasterCopy() gives back what storeMasterCopy() was given, after any sequence', () => {
  for (const sequence of [0, 0x7fff_fffe, 0xffff_fffc, 0xffff_fffe]) {
    const { memory } = bareVm();
    memory.store32(vmWord(VM_WORDS.sequence), sequence);
    for (const copy of [UNSTABLE, copyAt(2n)]) {
      storeMasterCopy(memory, copy);
      assert.deepEqual(loadMasterCopy(memory), copy);
      assert.deepEqual(loadMasterCopyOffsetAfter(memory), copy);
    }
  }
});

/** The copies that stand under an even sequence at any moment while `write` replaces that of `copyAt(0)`. */
function copiesShown(order: StoreOrder, write: (cpu: HostCpu) => void): string[] {
  const { memory } = bareVm();
  const sequence = vmWord(VM_WORDS.sequence);
  memory.store32(sequence, 0xffff_fffc);
  const shown = new Set<string>();
  WATCHES[order](memory, write, () => {
    if (memory.load32(sequence) % 2 === 0) shown.add(textOf(loadMasterCopy(memory)));
  });
  return [...shown];
}

const WHOLE = [copyAt(0n), UNSTABLE].map(textOf);
const storeOther = (cpu: HostCpu): void => storeMasterCopy(cpu, UNSTABLE);

for (const order of ['in order', 'last first'] as const) {
  test(`storeMasterCopy() shows an even sequence only with a whole copy, its stores seen ${order}`, () => {
    assert.deepEqual(copiesShown(order, storeOther), WHOLE);
  });
}

test('a writer of the copy without its barriers is caught where stores are seen last first', () => {
  assert.notDeepEqual(copiesShown('last first', withoutBarriers(storeOther)), WHOLE);
});

/** The copies that a reader gets while another is stored, over every moment that it may begin at and be held up at. */
function copiesSeen(load: (cpu: HostCpu) => MasterCopy): string[] {
  const seen = new Set<string>();
  for (let before = 0; before < 12; before++) {
    for (let meanwhile = 0; meanwhile < 8; meanwhile++) {
      const vm = bareVm();
      const writer = new Thread(vm.memory, (cpu) => storeMasterCopy(cpu, copyAt(1n)));
      let got: MasterCopy | undefined;
      const reader = new Thread(vm.memory, (cpu) => {
        got = load(cpu);
      });
      writer.step(before);
      reader.step(meanwhile);
      writer.step(100);
      reader.step(100);
      seen.add(`${got!.masterKernelNs}+${got!.kvmclockOffset}`);
    }
  }
  return [...seen].sort();
}

test('loadMasterCopy() gives one copy, whole', () => {
  assert.deepEqual(copiesSeen(loadMasterCopy), ['1000+0', '1001+50000000']);
});

test("loadMasterCopyOffsetAfter(), KVM's, is caught pairing a copy with the offset of another", () => {
  assert.deepEqual(copiesSeen(loadMasterCopyOffsetAfter), ['1000+0', '1000+50000000', '1001+50000000']);
});

test('a record that KVM writes while the clock is set may hold a time that was never the clock', () => {
  for (const [offset, times] of [
    ['after', 3],
    ['within', 2],
  ] as const) {
    const seen = new Set<bigint>();
    for (let steps = 0; steps < 16; steps++) {
      const vm: BareVm = bareVm({ offset, freeze: 'kvm' });
      const vcpu = new Thread(vm.memory, (cpu) => void writeRecord(cpu, vm.setup, 0, false));
      vcpu.step(steps);
      storeMasterCopy(vm.memory, copyAt(1n));
      vcpu.step(100);
      seen.add(vm.record(0).systemTime);
    }
    assert.equal(seen.size, times);
  }
});
