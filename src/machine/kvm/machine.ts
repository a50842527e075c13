/**
 * A whole small machine for an image of the Multiboot kind: memory, vCPUs that start each other by INIT and SIPI, the devices
 * of devices.ts, and the clock of KVM or of our hypervisor. It runs until the image says its status, or fails.
 */
import type { KvmExit } from '../../abi/kvm-run.ts';
import type { FlavourName } from '../../hypervisor/policy.ts';
import { vcpuCpuid } from './cpuid.ts';
import { createDevices, EXIT_PORT } from './devices.ts';
import { startThreads } from './guest.ts';
import type { Kvm } from './kvm.ts';
import { bootRegs, bootSregs, loadMultiboot, writeBootInformation } from './multiboot.ts';
import { type ClockServiceData, startClock, takeClock } from './service.ts';
import { GuestError, type VcpuThread } from './thread.ts';
import type { Vm } from './vm.ts';

export interface MachineOptions {
  readonly image: Uint8Array;
  readonly vcpus: number;
  /** A multiple of the page size, above 1 MiB. */
  readonly memoryBytes: number;
  /** The program's name, then its arguments. */
  readonly commandLine: string;
  /** Our hypervisor keeps the clock, in this flavour; where it is not named, KVM does. */
  readonly flavour?: FlavourName | undefined;
  readonly timeoutMs: number;
  /** Takes what the guest writes to its serial line. */
  readonly print: (bytes: Uint8Array) => void;
}

/** Runs the image. Returns the value it wrote to the exit port. Throws ImageError, or GuestError where it ends in no such way. */
export async function runImage(kvm: Kvm, options: MachineOptions): Promise<number> {
  const vm = kvm.createVm(options.memoryBytes);
  let threads: VcpuThread[] = [];
  try {
    const entry = loadMultiboot(options.image, vm.memory);
    const information = writeBootInformation(vm.memory, options.commandLine);
    vm.createIrqchip();
    for (let i = 0; i < options.vcpus; i++) vm.createVcpu();
    threads = await startThreads(kvm, options.vcpus);
    const clock = giveClock(vm, threads, options.flavour);
    const [first] = vm.vcpus;
    first!.setSregs(bootSregs(first!.sregs()));
    first!.setRegs(bootRegs(first!.regs(), entry, information));
    return await runToEnd(vm, threads, clock, options);
  } finally {
    await Promise.all(threads.map((thread) => thread.close()));
    vm.close();
  }
}

function giveClock(
  vm: Vm,
  threads: readonly VcpuThread[],
  flavour: FlavourName | undefined,
): ClockServiceData | undefined {
  const supported = vm.kvm.supportedCpuid();
  const clock = flavour && takeClock(vm, threads, flavour);
  const hypervisor = clock && startClock(vm.kvm.sys, clock);
  for (const vcpu of vm.vcpus) {
    hypervisor?.setTscOffset(vcpu.id, vcpu.tscOffset());
    vcpu.setCpuid(vcpuCpuid(supported, vcpu.id, hypervisor?.cpuid));
  }
  return clock;
}

/** The first vCPU that comes out says how the guest ended; the others are stopped. */
async function runToEnd(
  vm: Vm,
  threads: readonly VcpuThread[],
  clock: ClockServiceData | undefined,
  { memoryBytes, vcpus, timeoutMs, print }: MachineOptions,
): Promise<number> {
  const devices = createDevices(memoryBytes, vcpus);
  const runs = vm.vcpus.map(async (vcpu, i) => {
    const exit = await threads[i]!.run(vcpu, { deadlineMs: timeoutMs, clock, devices, print });
    return { vcpu, exit };
  });
  const { vcpu, exit } = await Promise.race(runs);
  await Promise.all(threads.map((thread) => thread.stop()));
  await Promise.allSettled(runs);
  if (exit.reason === 'io' && exit.port === EXIT_PORT) return vcpu.run.getUint8(exit.dataOffset);
  throw new GuestError(`the guest ended without a status: vCPU ${vcpu.id} ${describe(exit)}`);
}

function describe(exit: KvmExit): string {
  if (exit.reason === 'shutdown') return 'had a triple fault';
  if (exit.reason === 'internal-error') return `met an instruction that KVM cannot emulate (suberror ${exit.suberror})`;
  return `came out with ${exit.reason}`;
}
