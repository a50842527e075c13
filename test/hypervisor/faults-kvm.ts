/** What KVM gets wrong today, fault by fault: the `kvm` flavour has each of them, ours has none. */
import { MSR_IA32_TSC, MSR_KVM_SYSTEM_TIME_NEW } from '../../src/abi/msr.ts';
import { PVCLOCK_GUEST_STOPPED } from '../../src/abi/pvti.ts';
import { setClock } from '../../src/hypervisor/clock-ioctl.ts';
import { loadMasterCopy } from '../../src/hypervisor/master-copy.ts';
import { writeRecord } from '../../src/hypervisor/record.ts';
import { IN_GUEST_MODE, REQUEST } from '../../src/hypervisor/request-bits.ts';
import { tryEnter } from '../../src/hypervisor/requests.ts';
import { type NextCopy, updateMasterClock } from '../../src/hypervisor/update.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from '../../src/hypervisor/words.ts';
import { Thread } from './stepper.ts';
import type { World, WorldOptions } from './world.ts';

const SEC = 1_000_000_000n;
const ODD_HZ = 2_593_992_345n;

/** Makes a VM of the flavour that is tried. */
export type Make = (options?: WorldOptions) => World;

/** By what goes wrong: true where the fault is there. */
export type Faults = Readonly<Record<string, (make: Make) => boolean>>;

export const KVM_FAULTS: Faults = {
  'a told vCPU finds record 0 still stable after the TSCs have come apart': (make) => {
    const vm = make();
    vm.hypervisor.setTscOffset(1, 12345n);
    vm.hypervisor.enter(1);
    return vm.record(0).flags === 1;
  },
  'a told vCPU finds the time from before KVM_SET_CLOCK in record 0': (make) => {
    const vm = make();
    vm.hypervisor.setClock({ clock: 1000n * SEC, flags: 0 });
    vm.hypervisor.enter(1);
    return vm.clock(1, 0) < vm.clock(1);
  },
  'a told vCPU finds a time in record 0 that is behind what its own record showed': (make) => {
    const vm = make({ hostHz: ODD_HZ });
    vm.host.advanceNs(3600n * SEC);
    vm.host.slew(1_000_000n); // the host's clock gains on the records, then they are taken anew
    vm.host.advanceNs(SEC);
    vm.hypervisor.refresh();
    vm.hypervisor.enter(1);
    return vm.clock(1, 0) < vm.clock(1);
  },
  'a refresh makes the time jump': (make) => {
    const vm = make({ hostHz: ODD_HZ });
    vm.host.advanceNs(3600n * SEC);
    const before = vm.clock(0);
    vm.hypervisor.refresh();
    vm.runAll();
    return vm.clock(0) !== before;
  },
  'the rate is cut to a kHz, so the clock is wrong by 10 ms a day': (make) => {
    const vm = make({ hostHz: ODD_HZ });
    const start = vm.clock(0);
    vm.host.advanceNs(86_400n * SEC);
    const off = vm.clock(0) - start - 86_400n * SEC;
    return off > 10_000_000n || off < -10_000_000n;
  },
  'the host leaves its TSC, and a guest goes on by a record that says stable': (make) => {
    const vm = make();
    vm.kicks.length = 0;
    vm.host.keepTimeByTsc(false);
    vm.hypervisor.hostClocksourceChanged();
    return vm.kicks.length === 0 && vm.record(0).flags === 1;
  },
  'the host takes its TSC back, and its VMs go on without the stable bit': (make) => {
    const vm = make();
    for (const byTsc of [false, true]) {
      vm.host.keepTimeByTsc(byTsc);
      vm.hypervisor.hostClocksourceChanged();
      vm.runAll();
      vm.runAll();
    }
    return vm.record(0).flags === 0;
  },
  'of two updates at once, the first to end lets a vCPU in while the second samples': (make) => {
    let inside = false;
    for (let steps = 0; steps < 40; steps++) {
      const vm = make();
      const { setup } = vm.hypervisor.vm;
      const next: NextCopy = (cpu) => {
        if (cpu.load32(vcpuWord(1, VCPU_WORDS.mode)) === IN_GUEST_MODE) inside = true;
        return loadMasterCopy(cpu);
      };
      const [first, second] = [1, 2].map(() => new Thread(vm.memory, (cpu) => updateMasterClock(cpu, setup, next)));
      second!.step(steps);
      first!.step(200);
      new Thread(vm.memory, (cpu) => void tryEnter(cpu, setup, 1, next)).step(200);
      second!.step(200);
    }
    return inside;
  },
  'every vCPU repeats an update that was asked of all': (make) => {
    const vm = make({ vcpus: 4 });
    const sequence = () => vm.memory.load32(vmWord(VM_WORDS.sequence));
    const before = sequence();
    for (let vcpu = 0; vcpu < 4; vcpu++) {
      vm.memory.fetchOr32(vcpuWord(vcpu, VCPU_WORDS.requests), REQUEST.MASTERCLOCK_UPDATE);
    }
    vm.runAll();
    return sequence() - before > 2;
  },
  'a record that is written while the clock is set holds a time that was never the clock': (make) => {
    let never = false;
    for (let steps = 0; steps < 30; steps++) {
      const vm = make({ vcpus: 1 });
      vm.host.slew(1_000_000n);
      vm.host.advanceNs(SEC);
      const before = vm.clock(0);
      const { setup } = vm.hypervisor.vm;
      const writer = new Thread(vm.memory, (cpu) => void writeRecord(cpu, setup, 0, false));
      const setter = new Thread(vm.memory, (cpu) =>
        setClock({ ...vm.hypervisor.vm, cpu }, { clock: 77n * SEC, flags: 0 }),
      );
      writer.step(steps);
      setter.step(500);
      writer.step(500);
      setter.step(500);
      never ||= vm.clock(0) !== before && vm.clock(0) !== 77n * SEC;
    }
    return never;
  },
  'KVM_GET_CLOCK of a scaled guest is not its clock': (make) => {
    const vm = make({ hostHz: 2_999_999_000n, guestHz: 1_234_567_000n, tscScaling: true });
    vm.host.advanceNs(86_400n * SEC);
    return vm.hypervisor.getClock().clock !== vm.clock(0);
  },
  'KVM_KVMCLOCK_CTRL is lost to a snapshot that is taken before the vCPU runs': (make) => {
    const vm = make();
    vm.hypervisor.kvmclockCtrl(1);
    return (vm.record(1).flags & PVCLOCK_GUEST_STOPPED) === 0;
  },
  'a record across two pages is accepted and never written': (make) => {
    const vm = make({ enabled: false });
    const accepted = vm.hypervisor.wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, BigInt(8192 - 16) | 1n) === 'done';
    vm.runAll();
    return accepted && vm.guest.getUint32(8192 - 16, true) === 0;
  },
  "a guest's write to its TSC leaves its record wrong": (make) => {
    const vm = make();
    vm.host.advanceNs(SEC);
    const before = vm.clock(1);
    vm.hypervisor.wrmsr(1, MSR_IA32_TSC, 0n);
    vm.runAll();
    return vm.clock(1) !== before;
  },
  'of TSCs that are set one after the other, the last to be set enters first, with a record of the old TSC': (make) => {
    const vm = make();
    vm.host.advanceNs(SEC);
    const before = vm.clock(1);
    for (const vcpu of [0, 1]) vm.hypervisor.setTscOffset(vcpu, 777n);
    vm.hypervisor.enter(1);
    return vm.clock(1) !== before || vm.clock(1, 0) !== before;
  },
  'a vCPU whose TSC rate was changed keeps the stable bit': (make) => {
    const vm = make({ tscScaling: true });
    vm.hypervisor.setTscHz(1, SEC);
    vm.runAll();
    vm.runAll();
    return vm.record(1).flags === 1;
  },
  'a TSC that was moved and moved back has cost the stable bit for good': (make) => {
    const vm = make();
    const offset = vm.hypervisor.tscOffset(1);
    for (const moved of [offset + 1n, offset]) {
      vm.hypervisor.setTscOffset(1, moved);
      vm.runAll();
    }
    vm.runAll();
    return vm.record(0).flags === 0;
  },
  'catch-up by a sample from before the TSC was written throws the TSC far ahead': (make) => {
    const vm = make({ vcpus: 1, guestHz: 3n * SEC });
    vm.memory.store64(vcpuWord(0, VCPU_WORDS.thisTscNs), vm.host.ns() + 1000n);
    vm.memory.fetchOr32(vcpuWord(0, VCPU_WORDS.requests), REQUEST.CLOCK_UPDATE);
    vm.run(0);
    return vm.hypervisor.readTsc(0) > 1n << 40n;
  },
  'a TSC that is to be caught up stops at where the VM-wide copy was taken': (make) => {
    const vm = make({ vcpus: 1, guestHz: 3n * SEC });
    const before = vm.hypervisor.readTsc(0);
    vm.host.advanceNs(SEC);
    vm.run(0);
    return vm.hypervisor.readTsc(0) - before < 3n * SEC;
  },
  'a VM whose host woke with its TSC reset is never stable again': (make) => {
    const vm = make();
    vm.host.advanceNs(SEC);
    vm.hypervisor.hostSuspending();
    vm.host.sleep(SEC, 0n);
    vm.hypervisor.hostResumed();
    vm.runAll();
    vm.runAll();
    return (vm.record(0).flags & 1) === 0;
  },
  'no call moves the clock to another host to the nanosecond': (make) => {
    const vm = make();
    try {
      vm.hypervisor.setClockGuest(0, vm.hypervisor.getClockGuest(0));
      return false;
    } catch {
      return true;
    }
  },
};
