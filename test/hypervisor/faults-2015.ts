/** What KVM of January 2015 got wrong and does not any more: the `kvm-2015` flavour has each, `kvm` and ours have none. */
import { isDeepStrictEqual } from 'node:util';
import { writeRecord } from '../../src/hypervisor/record.ts';
import { REQUEST } from '../../src/hypervisor/request-bits.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from '../../src/hypervisor/words.ts';
import type { Faults } from './faults-kvm.ts';
import { Thread } from './stepper.ts';
import { RECORDS, type World } from './world.ts';

const SEC = 1_000_000_000n;

export const KVM_2015_FAULTS: Faults = {
  'a record can be read under an even version while half of it is the old one': (make) => {
    const vm = make({ vcpus: 1 });
    const before = vm.record(0);
    vm.host.advanceNs(SEC);
    vm.host.keepTimeByTsc(false);
    vm.hypervisor.refresh();
    const { setup } = vm.hypervisor.vm;
    const writer = new Thread(vm.memory, (cpu) => void writeRecord(cpu, setup, 0, false));
    const seen = [before];
    for (; !writer.finished; writer.step()) if (vm.record(0).version % 2 === 0) seen.push(vm.record(0));
    const wholes = [before, vm.record(0)].map(({ version: _, ...body }) => body);
    return seen.some(({ version: _, ...body }) => !wholes.some((whole) => isDeepStrictEqual(body, whole)));
  },
  'an odd version that stood in the record when it was asked for stays odd: no reader gets past it': (make) => {
    const vm = make({ vcpus: 1 });
    vm.memory.store32(RECORDS, 0xdead_beef);
    vm.memory.fetchOr32(vcpuWord(0, VCPU_WORDS.requests), REQUEST.CLOCK_UPDATE);
    vm.run(0);
    return vm.record(0).version % 2 === 1;
  },
  "the other vCPUs' records follow a global update 100 ms late": (make) => {
    const vm = make();
    const { version } = vm.record(0);
    vm.memory.fetchOr32(vcpuWord(1, VCPU_WORDS.requests), REQUEST.GLOBAL_CLOCK_UPDATE);
    vm.run(1);
    vm.run(0);
    return vm.record(0).version === version;
  },
  'a vCPU that is plugged in refreshes the clock of all': (make) => {
    const vm = make({ vcpus: 2, created: 1 });
    const before = sequence(vm);
    vm.hypervisor.createVcpu(1);
    vm.run(1);
    return sequence(vm) !== before;
  },
  'a host TSC that ran back under one VM ends the master clock of every other': (make) => {
    const host = { backwardsTscObserved: false };
    const [slept, neighbour] = [make({ host }), make({ host })];
    slept.host.advanceNs(SEC);
    slept.hypervisor.hostSuspending();
    slept.host.sleep(SEC, 0n);
    slept.hypervisor.hostResumed();
    neighbour.hypervisor.refresh();
    neighbour.runAll();
    return neighbour.record(0).flags === 0;
  },
  'a guest is not told that its host slept': (make) => {
    const vm = make();
    vm.hypervisor.hostSuspending();
    vm.host.sleep(SEC, vm.host.tsc());
    vm.hypervisor.hostResumed();
    vm.runAll();
    return (vm.record(0).flags & 2) === 0;
  },
  'KVM_GET_CLOCK names no instant': (make) => make().hypervisor.getClock().flags === 0,
};

/** Goes up by 2 with every VM-wide copy. */
function sequence(vm: World): number {
  return vm.memory.load32(vmWord(VM_WORDS.sequence));
}
