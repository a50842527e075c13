/**
 * The VM that is explored, by its dimensions: which reader, under which hypervisor, through which update, in which memory,
 * on how many vCPUs. Both sides are the shipped functions.
 *
 * Each vCPU's thread goes round: enter (serve the requests, write the record, pass the gate), guest code, leave. A vCPU may
 * leave the guest at any moment, kicked or not. Guest threads run on any vCPU in guest mode, moved between any two
 * operations. The update comes at any moment.
 */
import { PVCLOCK_TSC_STABLE_BIT, pvtiAddress } from '../abi/pvti.ts';
import { cached } from '../guest/cached.ts';
import { kernelRead } from '../guest/kernel.ts';
import { READERS, type ReaderName } from '../guest/readers.ts';
import { readWallClock } from '../guest/wall-clock.ts';
import { setClock, wallEpochNs } from '../hypervisor/clock-ioctl.ts';
import { NO_EVENTS } from '../hypervisor/events.ts';
import { FLAVOURS, type Flavour } from '../hypervisor/flavours.ts';
import type { HostClock } from '../hypervisor/host-clock.ts';
import { refresh } from '../hypervisor/host-events.ts';
import { refreshedCopy } from '../hypervisor/master-clock.ts';
import type { Freeze, VmSetup, Writer } from '../hypervisor/policy.ts';
import { enter, leave } from '../hypervisor/requests.ts';
import { writeTscOffset } from '../hypervisor/tsc.ts';
import { CLOCK_FEATURES, type KvmVm, underLock } from '../hypervisor/vm.ts';
import { publishWallClock } from '../hypervisor/wall-clock.ts';
import { Cells } from './cells.ts';
import { judge, NO_OUTCOME } from './judge.ts';
import { FIRST, LAST_VALUE, lineIn, ownRecordsIn, RECORDS, TSC_HZ, vmCells, WALL } from './memory-map.ts';
import type { Mutants, ThreadReader } from './mutants.ts';
import type { Program, ThreadCpu } from './replay.ts';
import type { Memory, Scenario } from './scenario.ts';
import type { Early } from './windows.ts';

/**
 * - `unstable`: vCPU 1's TSC is moved, by its own thread; the clock is no longer stable.
 * - `ahead`, `behind`: the VM-wide copy is taken anew, and the host's clock has run ahead of the records, or behind.
 * - `set-clock`: KVM_SET_CLOCK moves the clock forward.
 * - `wall-clock`: the guest asks for its wall clock anew, which every call then reads as well. The records stay as they are.
 */
export type Update = (typeof UPDATES)[number];

export const UPDATES = ['unstable', 'ahead', 'behind', 'set-clock', 'wall-clock'] as const;
export type Kernel = 'none' | 'fallback' | 'mixed';

export const KERNELS: readonly Kernel[] = ['none', 'fallback', 'mixed'];
export const HOSTS: readonly Freeze[] = ['none', 'kvm', 'record0', 'all'];
export const WRITERS: readonly Writer[] = ['2014', '2015', 'today', 'xen'];
export const MEMORIES: readonly Memory[] = ['sc', 'tso'];

export interface Configuration {
  readonly reader: ReaderName;
  readonly host: Freeze;
  readonly writer: Writer;
  readonly update: Update;
  readonly memory: Memory;
  readonly vcpus: number;
  /** Guest threads, and calls that each makes one after the other. */
  readonly threads: number;
  readonly calls: number;
  /** Threads that update at once; the first of `unstable` is vCPU 1's, the others take the copy anew. */
  readonly updaters: number;
  /** How often each does, one after the other; vCPU 1's TSC is moved only once. */
  readonly updates: number;
  /** Times that the TSC may move on; 0: only the lines differ, never the time since the first update. */
  readonly ticks: number;
  /**
   * The guest kernel's own reads: `none`; `fallback`, where a reader finds no stable record, as a system call does it; or `mixed`: so,
   * and every second call is the kernel's in the first place.
   */
  readonly kernel: Kernel;
  /** How loads may be done early: see early-loads.ts. */
  readonly early?: Early;
  /** The name of a step that is left out or moved; what becomes of the functions is given beside the configuration. */
  readonly mutation?: string;
}

export const DEFAULT_CONFIGURATION: Configuration = {
  reader: 'landed',
  host: 'kvm',
  writer: 'today',
  update: 'unstable',
  memory: 'sc',
  vcpus: 2,
  threads: 1,
  calls: 1,
  updaters: 1,
  updates: 1,
  ticks: 0,
  kernel: 'none',
};

/** The host's TSC and clock, ten cycles after the first update. */
const HOST_TSC = FIRST.masterCycleNow + 10n;
const HOST_NS = FIRST.masterKernelNs + 10n;
/** By how much vCPU 1's TSC jumps, the host's clock has drifted from the records, and KVM_SET_CLOCK moves the clock. */
const TSC_JUMP = 7n;
const DRIFT_NS = 5n;
const SET_CLOCK_NS = 50n;
/** The host's time of day, less its clock. */
const EPOCH_NS = 7_000_000_009n;

/** KVM's own flavour for `kvm`, the same without the freeze for `none`, ours for the others. */
export function flavourOf(host: Freeze, writer: Writer): Flavour {
  const flavour = host === 'kvm' || host === 'none' ? FLAVOURS.kvm : FLAVOURS.kvmclock;
  return { ...flavour, policy: { ...flavour.policy, freeze: host, writer } };
}

/** `mutants`: shipped functions with something changed on purpose. */
export function scenarioOf(configuration: Configuration, mutants?: Mutants): Scenario {
  if (configuration.mutation !== undefined && mutants === undefined)
    throw new RangeError(`mutation ${configuration.mutation}: what that changes is to be given beside it`);
  return mutatedScenario(configuration, mutants ?? {});
}

function mutatedScenario(configuration: Configuration, mutants: Mutants): Scenario {
  const { host, writer, update, vcpus, threads, calls, updaters, updates, ticks, memory } = configuration;
  const flavour = flavourOf(host, writer);
  const setup: VmSetup = { vcpus, policy: { ...flavour.policy, ...mutants.policy }, tscScaling: false };
  const specs = mutants.first?.(vmCells(vcpus)) ?? vmCells(vcpus);
  const cells = new Cells(specs);
  const vmOver = (own: ThreadCpu): HostVm => {
    const cpu = mutants.host?.(own) ?? own;
    return { ...VM, cpu, setup, flavour, hostClock: hostClockOver(cpu) };
  };
  const numbers = Array.from({ length: vcpus }, (_, vcpu) => vcpu);
  const read = readCall(configuration, mutants);
  const kernel: Program = { name: 'the kernel', run: (own) => readKernel(own, mutants) };
  const callsOf = (thread: number): Program[] =>
    Array.from({ length: calls }, (_, call) =>
      configuration.kernel === 'mixed' && (thread + call) % 2 === 1 ? kernel : read,
    );
  if (update === 'unstable' && vcpus < 2)
    throw new RangeError('update unstable moves the TSC of vCPU 1: give the VM 2 vCPUs');
  const others = Array.from({ length: update === 'unstable' ? updaters - 1 : updaters }, (_, index) => index);
  return {
    cells: specs,
    memory,
    ...(configuration.early === undefined ? {} : { early: configuration.early }),
    hosts: numbers.map((vcpu) => hostProgram(vmOver, vcpu)),
    ownRecords: ownRecordsIn(specs, vcpus),
    once: update === 'unstable' ? [{ vcpu: 1, program: mismatchProgram(vmOver) }] : [],
    others: others.map((index) => updateProgram(vmOver, update, index, updates)),
    guests: Array.from({ length: threads }, (_, thread) => callsOf(thread)),
    ticks,
    hostTsc: HOST_TSC,
    hostNs: HOST_NS + (update === 'ahead' ? DRIFT_NS : update === 'behind' ? -DRIFT_NS : 0n),
    outcome(program, events, returned) {
      return program === read || program === kernel ? judge(cells, events, returned) : NO_OUTCOME;
    },
  };
}

type HostVm = KvmVm & { readonly cpu: ThreadCpu };
type VmOver = (cpu: ThreadCpu) => HostVm;

const VM = {
  host: { backwardsTscObserved: false },
  events: NO_EVENTS,
  features: CLOCK_FEATURES,
  holds: () => true,
} as const;

function hostClockOver(cpu: ThreadCpu): HostClock {
  return {
    tscHz: () => TSC_HZ,
    tsc: () => cpu.hostTsc(),
    ns: () => cpu.hostNs(),
    realtimeNs: () => cpu.hostNs() + EPOCH_NS,
    sample() {
      const sample = cpu.hostSample();
      return { ...sample, realtimeNs: sample.ns + EPOCH_NS };
    },
  };
}

/** One stretch of a vCPU's thread. */
function hostProgram(vmOver: VmOver, vcpu: number): Program {
  return {
    name: `vCPU ${vcpu}'s thread`,
    run(own) {
      const vm = vmOver(own);
      enter(vm.cpu, vm.setup, vcpu, refreshedCopy(vm));
      vm.cpu.guest();
      leave(vm.cpu, vcpu);
      return undefined;
    },
  };
}

/** User space moves vCPU 1's TSC, on its own thread, as KVM_VCPU_TSC_OFFSET does: the TSCs no longer match. */
function mismatchProgram(vmOver: VmOver): Program {
  return {
    name: "vCPU 1's thread",
    run(cpu) {
      writeTscOffset(vmOver(cpu), 1, TSC_JUMP);
      return undefined;
    },
  };
}

/** One update, and `times - 1` more behind it. */
function updateProgram(vmOver: VmOver, update: Update, index: number, times: number): Program {
  const program = {
    name: index === 0 ? 'the updater' : `updater ${index + 1}`,
    run(own: ThreadCpu) {
      const vm = vmOver(own);
      if (update === 'set-clock') setClock(vm, { clock: HOST_NS + SET_CLOCK_NS, flags: 0 });
      else if (update === 'wall-clock') underLock(vm, () => publishWallClock(vm.cpu, WALL, wallEpochNs(vm)));
      else refresh(vm);
      return undefined;
    },
  };
  return times === 1 ? program : { ...program, next: updateProgram(vmOver, update, index, times - 1) };
}

function readCall({ reader: name, kernel, update }: Configuration, mutants: Mutants): Program {
  const reader: ThreadReader | undefined = mutants.reader ?? (name === 'cached' ? undefined : READERS[name]());
  return {
    name,
    run(own) {
      const cpu = mutants.guest?.(own) ?? own;
      if (update === 'wall-clock') readWallClock(cpu, WALL);
      const ns = reader === undefined ? cached(cpu, RECORDS, lineIn(cpu)) : reader(cpu, RECORDS);
      return ns === undefined && kernel !== 'none' ? readKernel(own, mutants) : ns;
    },
  };
}

/** The guest's kernel reads the record of the vCPU it runs on, and stays there while it does. */
function readKernel(bare: ThreadCpu, mutants: Mutants): bigint {
  const cpu = mutants.kernel?.(bare) ?? bare;
  const own = pvtiAddress(RECORDS, cpu.kernelVcpu());
  return kernelRead(cpu, own, { validFlags: PVCLOCK_TSC_STABLE_BIT, last: LAST_VALUE });
}
