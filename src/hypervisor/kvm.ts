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
import { checkMemory, existing, u64Of } from './arguments.ts';
import { type GuestLine, getClockGuest, setClockGuest } from './clock-guest.ts';
import { getClock, kvmclockCtrl, setClock } from './clock-ioctl.ts';
import type { HostCpu } from './cpu.ts';
import { type CpuidLeaf, cpuidLeaf } from './cpuid.ts';
import { createVcpu } from './create-vcpu.ts';
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
import { hostRateChanged, setTscHz } from './tsc-rate.ts';
import { CLOCK_FEATURES, isCreated, type KvmVm } from './vm.ts';
import { VCPU_WORDS, VM_WORDS, vcpuWord, vmWord } from './words.ts';

/** What createHypervisor() takes for every flavour but Xen's. */
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

/**
 * The clock of one VM. `vcpu`: a number from 0 on, of a vCPU that exists, else RangeError; a u64 that is none is a RangeError too.
 * ClockError stands for an error number: EINVAL, or ENOTTY for what the flavour has not.
 */
export interface KvmHypervisor {
  /** Its parts, for the functions that it is made of. */
  readonly vm: KvmVm;

  /** Brings `vcpu` into being: its TSC begins at 0, or where the others are. */
  createVcpu(vcpu: number): void;
  /**
   * Returns once `vcpu` may run guest code, its record written where that was due: call it before each run. Sleeps while an
   * update holds the vCPU out, and goes round while its TSC's rate is not known.
   */
  enter(vcpu: number): void;
  /** The same without waiting for either: false where it may not run yet. */
  tryEnter(vcpu: number): boolean;
  /** `vcpu` has left the guest: call it after each run. */
  leave(vcpu: number): void;

  /** WRMSR, or the VMM's own write (`writer` 'host'): 'done', or 'refused' for #GP, or 'unknown' where the register is another's. */
  wrmsr(vcpu: number, msr: number, value: bigint, writer?: MsrWriter): MsrOutcome;
  /** RDMSR; undefined where the register is not one of ours. */
  rdmsr(vcpu: number, msr: number): bigint | undefined;
  /** The leaves 0x40000000 and 0x40000001; undefined for any other. */
  cpuid(leaf: number): CpuidLeaf | undefined;

  /** KVM_GET_CLOCK: the VM's clock in ns, and at which instant of the host. */
  getClock(): KvmClockData;
  /**
   * KVM_SET_CLOCK: the clock goes on from `data.clock`, every record before its vCPU runs. With KVM_CLOCK_REALTIME it goes on from
   * that and the time of day that has passed since `data.realtime`, forward only. EINVAL on other flags than KVM's.
   */
  setClock(data: Pick<KvmClockData, 'clock' | 'flags'> & Partial<KvmClockData>): void;
  /** KVM_GET_CLOCK_GUEST (not merged in Linux): the clock as a line over `vcpu`'s TSC. EINVAL while there is no such line. */
  getClockGuest(vcpu: number): Pvti;
  /**
   * KVM_SET_CLOCK_GUEST: the clock becomes what `line` gives at `vcpu`'s TSC, which must be set before. On another host, of another
   * rate too, that is the same clock to 1 ns. EINVAL on what is no line, or while there can be none.
   */
  setClockGuest(vcpu: number, line: GuestLine): void;
  /** KVM_KVMCLOCK_CTRL: the guest is told in `vcpu`'s record that it was stopped. EINVAL where it keeps no record. */
  kvmclockCtrl(vcpu: number): void;

  /** Cycles, as `vcpu` would read them now. */
  readTsc(vcpu: number): bigint;
  /** KVM_SET_MSRS of the TSC: it shows `tsc`, or what the others show where that is meant (see tsc.ts). */
  writeTsc(vcpu: number, tsc: bigint): void;
  /** Cycles, mod 2^64: the guest's TSC is the host's, scaled, and this. */
  tscOffset(vcpu: number): bigint;
  /** KVM_VCPU_TSC_OFFSET. `offset`: cycles, mod 2^64. */
  setTscOffset(vcpu: number, offset: bigint): void;
  /** Hz; 0 while not known. */
  tscHz(vcpu: number): bigint;
  /** KVM_SET_TSC_KHZ, to the hertz. EINVAL where the processor can reach that rate neither by scaling nor by catching up. */
  setTscHz(vcpu: number, hz: bigint): void;

  /** Takes a new base now. */
  refresh(): void;
  /** `hostClock.sample()` has begun to give instants, or has ceased to. */
  hostClocksourceChanged(): void;
  /** `hostClock.tscHz()` is another, or known now. EINVAL where a vCPU cannot have the rate that it was given. */
  hostRateChanged(): void;
  /** The host is about to sleep, all vCPUs out of the guest. */
  hostSuspending(): void;
  /** It is awake, its TSC perhaps lower than before. */
  hostResumed(): void;
  /** `vcpu`'s thread runs on another processor now; `lastGuestTsc`: what its TSC showed last, where TSCs cannot be compared. */
  vcpuMoved(vcpu: number, lastGuestTsc?: bigint): void;
  /** For flavours that leave work to a timer (before 6.19): call it every 100 ms or so. */
  tick(): void;

  /** Clock, TSCs and registers at one instant, as JSON; no vCPU may be in the guest. EINVAL while no TSC rate is known. */
  save(): SavedClock;
  /**
   * Into a new VM with the guest's memory in place, before any vCPU runs. `stopped`: the clock goes on from where it was;
   * `passed`: as if the VM had run on. EINVAL or RangeError where that cannot be had here; the VM is then as it was.
   */
  restore(saved: SavedClock, away: TimeAway): void;
}

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
export function attachKvm(options: KvmOptions): KvmHypervisor {
  const vm = vmOf(options);
  const { cpu, setup } = vm;
  const next = refreshedCopy(vm);
  const at = (vcpu: number): number => existing(vm, vcpu);
  return {
    vm,
    createVcpu: (vcpu) => createVcpu(vm, vcpu, options.tscHz),
    enter: (vcpu) => enter(cpu, setup, at(vcpu), next),
    tryEnter: (vcpu) => tryEnter(cpu, setup, at(vcpu), next),
    leave: (vcpu) => leaveGuest(vm, at(vcpu)),
    wrmsr: (vcpu, msr, value, writer = 'guest') => writeMsr(vm, at(vcpu), msr, u64Of('WRMSR', value), writer),
    rdmsr: (vcpu, msr) => readMsr(vm, at(vcpu), msr),
    cpuid: (leaf) => cpuidLeaf(vm, leaf),
    getClock: () => getClock(vm),
    setClock: (data) => setClock(vm, data),
    getClockGuest: (vcpu) => getClockGuest(vm, at(vcpu)),
    setClockGuest: (vcpu, line) => setClockGuest(vm, at(vcpu), line),
    kvmclockCtrl: (vcpu) => kvmclockCtrl(vm, at(vcpu)),
    readTsc: (vcpu) => readTsc(vm, at(vcpu)),
    writeTsc: (vcpu, tsc) => writeTsc(vm, at(vcpu), u64Of('TSC', tsc), 'host'),
    tscOffset: (vcpu) => cpu.load64(vcpuWord(at(vcpu), VCPU_WORDS.tscOffset)),
    setTscOffset: (vcpu, offset) => writeTscOffset(vm, at(vcpu), BigInt.asUintN(64, offset)),
    tscHz: (vcpu) => cpu.load64(vcpuWord(at(vcpu), VCPU_WORDS.tscHz)),
    setTscHz: (vcpu, hz) => setTscHz(vm, at(vcpu), hz),
    refresh: () => refresh(vm),
    hostClocksourceChanged: () => hostClocksourceChanged(vm),
    hostRateChanged: () => hostRateChanged(vm),
    hostSuspending: () => hostSuspending(vm),
    hostResumed: () => hostResumed(vm),
    vcpuMoved: (vcpu, lastGuestTsc) => vcpuMoved(vm, at(vcpu), lastGuestTsc),
    tick: () => tick(vm),
    save: () => saveClock(vm),
    restore: (saved, away) => restoreClock(vm, saved, away),
  };
}

function vmOf(options: KvmOptions): KvmVm {
  const { memory, vcpus, hostClock, flavour = 'kvmclock', tscScaling = false, hypervPage = false } = options;
  checkMemory(memory, vcpus);
  const chosen =
    typeof flavour !== 'string' ? flavour : Object.hasOwn(FLAVOURS, flavour) ? FLAVOURS[flavour] : undefined;
  if (chosen === undefined) {
    throw new RangeError(`flavour ${JSON.stringify(flavour)}: known are ${Object.keys(FLAVOURS).join(', ')}, xen`);
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

function leaveGuest(vm: KvmVm, vcpu: number): void {
  const { cpu } = vm;
  leave(cpu, vcpu);
  const always = cpu.load32(vcpuWord(vcpu, VCPU_WORDS.alwaysCatchUp)) === 1;
  if (always) request(cpu, vcpu, REQUEST.CLOCK_UPDATE, false);
}
