/**
 * One VM's clock behind one object: what a VMM calls at each exit, and its owner now and then.
 *
 * A VM that is served by several threads has one object in each, all over the same words: `createKvm` in the first, `attachKvm` in
 * the others. The object itself keeps nothing. Whatever updates the VM-wide copy (`refresh`, `setClock`, what happens to the host,
 * an `enter` that finds an update asked for) waits until every vCPU is out of the guest: never call it on a thread whose
 * own vCPU is in.
 */
import type { KvmClockData } from '../abi/kvm-clock-data.ts';
import type { Pvti } from '../abi/pvti.ts';
import { TSC_RATIO_ONE } from '../scale/tsc-ratio.ts';
import { checkMemory, checkVcpuNumber, existing, u64Of } from './arguments.ts';
import { type GuestLine, getClockGuest, setClockGuest } from './clock-guest.ts';
import { getClock, kvmclockCtrl, setClock } from './clock-ioctl.ts';
import type { HostCpu } from './cpu.ts';
import { type CpuidLeaf, cpuidLeaf } from './cpuid.ts';
import { type HypervisorEvents, NO_EVENTS } from './events.ts';
import { FLAVOURS, type Flavour } from './flavours.ts';
import type { HostClock, HostState } from './host-clock.ts';
import { hostClocksourceChanged, hostResumed, hostSuspending, refresh, tick, vcpuMoved } from './host-events.ts';
import { refreshedCopy } from './master-clock.ts';
import { type MsrOutcome, type MsrWriter, readMsr, writeMsr } from './msr.ts';
import type { FlavourName } from './policy.ts';
import { REQUEST } from './request-bits.ts';
import { enter, leave, request, tryEnter } from './requests.ts';
import { restoreClock, type SavedClock, saveClock, type TimeAway } from './save.ts';
import type { BoundedMemory } from './shared-memory.ts';
import { readTsc, writeTsc, writeTscOffset } from './tsc.ts';
import { hostRateChanged, initTscHz, setTscHz } from './tsc-rate.ts';
import { CLOCK_FEATURES, hostTscHz, isCreated, type KvmVm, underLock } from './vm.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from './words.ts';

export interface KvmOptions {
  /** The guest's memory and the VM's words: `sharedMemory()`, or a HostCpu of your own, which without `holds` must bear any address. */
  readonly memory: HostCpu & Partial<BoundedMemory>;
  /** How many vCPUs the VM may have: 1 or more. */
  readonly vcpus: number;
  readonly hostClock: HostClock;
  /** `kvmclock` if not given. */
  readonly flavour?: FlavourName | Flavour;
  readonly events?: Partial<HypervisorEvents>;
  /** How many of the vCPUs exist from the start: all, if not given; the others by `createVcpu`. */
  readonly created?: number;
  /** The rate of the guest's TSC, Hz: the host's, if not given. */
  readonly tscHz?: bigint;
  /** The processor scales guests' TSCs, and the VMM sets it up to. */
  readonly tscScaling?: boolean;
  /** EAX of the feature leaf: both pairs of MSRs and the stable bit, if not given. */
  readonly features?: number;
  /** Keep a Hyper-V reference TSC page too, where the guest asks for one. */
  readonly hypervPage?: boolean;
  /** What this host shares among its VMs: one of its own, if not given. */
  readonly host?: HostState;
}

export type KvmHypervisor = ReturnType<typeof attachKvm>;

/**
 * The clock of a new VM, reading about zero, whose words are all zero. Throws RangeError on options that cannot be,
 * ClockError EINVAL on a `tscHz` that this host cannot give.
 */
export function createKvm(options: KvmOptions): KvmHypervisor {
  const hypervisor = attachKvm(options);
  const { vm } = hypervisor;
  const created = options.created ?? options.vcpus;
  if (!Number.isInteger(created) || created < 1 || created > options.vcpus) {
    throw new RangeError(`created: ${created} vCPUs of ${options.vcpus} cannot exist; vCPU 0 must`);
  }
  if (isCreated(vm, 0))
    throw new RangeError('words: they are those of a VM that exists already; createWords() makes new ones');
  vm.cpu.store64(vmWord(VM_WORDS.kvmclockOffset), BigInt.asUintN(64, -vm.cpu.hostNs()));
  for (let vcpu = 0; vcpu < created; vcpu++) hypervisor.createVcpu(vcpu);
  return hypervisor;
}

/** Another thread's object for a VM that `createKvm` has made over the same words. */
export function attachKvm(options: KvmOptions) {
  const vm = vmOf(options);
  const { cpu, setup } = vm;
  const next = refreshedCopy(vm);
  const at = (vcpu: number): number => existing(vm, vcpu);
  return {
    vm,

    /** Brings `vcpu` into being: its TSC begins at 0, or where the others are. */
    createVcpu: (vcpu: number): void => createVcpu(vm, vcpu, options.tscHz),
    /**
     * Returns once `vcpu` may run guest code: call it before each run. Sleeps while an update holds the vCPU out, and goes
     * round while its TSC's rate is not known.
     */
    enter: (vcpu: number): void => enter(cpu, setup, at(vcpu), next),
    /** The same without waiting for either: false where it may not run yet. */
    tryEnter: (vcpu: number): boolean => tryEnter(cpu, setup, at(vcpu), next),
    /** `vcpu` has left the guest: call it after each run. */
    leave: (vcpu: number): void => leaveGuest(vm, at(vcpu)),

    /** WRMSR, or the VMM's own write (`writer` 'host'). */
    wrmsr: (vcpu: number, msr: number, value: bigint, writer: MsrWriter = 'guest'): MsrOutcome =>
      writeMsr(vm, at(vcpu), msr, u64Of('WRMSR', value), writer),
    /** RDMSR; undefined where the register is not one of ours. */
    rdmsr: (vcpu: number, msr: number): bigint | undefined => readMsr(vm, at(vcpu), msr),
    /** The leaves 0x40000000 and 0x40000001; undefined for any other. */
    cpuid: (leaf: number): CpuidLeaf | undefined => cpuidLeaf(vm, leaf),

    getClock: (): KvmClockData => getClock(vm),
    setClock: (data: Pick<KvmClockData, 'clock' | 'flags'> & Partial<KvmClockData>): void => setClock(vm, data),
    getClockGuest: (vcpu: number): Pvti => getClockGuest(vm, at(vcpu)),
    setClockGuest: (vcpu: number, line: GuestLine): void => setClockGuest(vm, at(vcpu), line),
    kvmclockCtrl: (vcpu: number): void => kvmclockCtrl(vm, at(vcpu)),

    readTsc: (vcpu: number): bigint => readTsc(vm, at(vcpu)),
    writeTsc: (vcpu: number, tsc: bigint): void => writeTsc(vm, at(vcpu), u64Of('TSC', tsc), 'host'),
    tscOffset: (vcpu: number): bigint => cpu.load64(vcpuWord(at(vcpu), VCPU_WORDS.tscOffset)),
    /** `offset`: cycles, mod 2^64. */
    setTscOffset: (vcpu: number, offset: bigint): void => writeTscOffset(vm, at(vcpu), BigInt.asUintN(64, offset)),
    tscHz: (vcpu: number): bigint => cpu.load64(vcpuWord(at(vcpu), VCPU_WORDS.tscHz)),
    setTscHz: (vcpu: number, hz: bigint): void => setTscHz(vm, at(vcpu), hz),

    /** Takes a new base now. */
    refresh: (): void => refresh(vm),
    hostClocksourceChanged: (): void => hostClocksourceChanged(vm),
    hostRateChanged: (): void => hostRateChanged(vm),
    hostSuspending: (): void => hostSuspending(vm),
    hostResumed: (): void => hostResumed(vm),
    vcpuMoved: (vcpu: number, lastGuestTsc?: bigint): void => vcpuMoved(vm, at(vcpu), lastGuestTsc),
    /** For flavours that leave work to a timer (before 6.19): call it every 100 ms or so. */
    tick: (): void => tick(vm),

    save: (): SavedClock => saveClock(vm),
    restore: (saved: SavedClock, away: TimeAway): void => restoreClock(vm, saved, away),
  };
}

function vmOf(options: KvmOptions): KvmVm {
  const { memory, vcpus, hostClock, flavour = 'kvmclock', tscScaling = false, hypervPage = false } = options;
  checkMemory(memory, vcpus);
  const chosen = typeof flavour === 'string' ? FLAVOURS[flavour] : flavour;
  if (chosen === undefined) {
    throw new RangeError(`flavour ${JSON.stringify(flavour)}: known are ${Object.keys(FLAVOURS).join(', ')}`);
  }
  return {
    cpu: memory,
    setup: { vcpus, policy: chosen.policy, tscScaling, hypervPage },
    flavour: chosen,
    hostClock,
    host: options.host ?? { backwardsTscObserved: false },
    events: { ...NO_EVENTS, ...options.events },
    features: options.features ?? CLOCK_FEATURES,
    holds: memory.holds?.bind(memory) ?? (() => true),
  };
}

function createVcpu(vm: KvmVm, vcpu: number, tscHz: bigint | undefined): void {
  const { cpu } = vm;
  checkVcpuNumber(vm.setup.vcpus, vcpu);
  if (isCreated(vm, vcpu)) throw new RangeError(`vCPU ${vcpu}: it exists already`);
  const hostHz = hostTscHz(vm);
  cpu.store64(vcpuWord(vcpu, VCPU_WORDS.tscRatio), TSC_RATIO_ONE);
  if (tscHz !== undefined) initTscHz(vm, vcpu, tscHz);
  else if (hostHz > 0n) initTscHz(vm, vcpu, hostHz); // 0: not known yet, hostRateChanged will tell
  underLock(vm, () => {
    cpu.store32(vcpuWord(vcpu, VCPU_WORDS.created), 1);
    const online = vmWord(VM_WORDS.onlineVcpus);
    cpu.store32(online, cpu.load32(online) + 1);
  });
  writeTsc(vm, vcpu, 0n, 'creation');
  request(cpu, vcpu, REQUEST.GLOBAL_CLOCK_UPDATE, false); // as at its first load onto a processor
}

function leaveGuest(vm: KvmVm, vcpu: number): void {
  const { cpu } = vm;
  leave(cpu, vcpu);
  const always = cpu.load32(vcpuWord(vcpu, VCPU_WORDS.alwaysCatchUp)) === 1;
  if (always) request(cpu, vcpu, REQUEST.CLOCK_UPDATE, false);
}
