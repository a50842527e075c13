/**
 * A simulated vCPU: a thread that runs guest code in TypeScript. It goes in and out of the guest by the hypervisor's own run
 * loop, and may be made to leave between any two of the guest's operations, as a processor may between any two instructions:
 * so a reader can be held up in the middle and go on behind an update.
 */
import { MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_WALL_CLOCK_NEW } from '../../abi/msr.ts';
import { PVTI, PVTI_SIZE, pvtiAddress } from '../../abi/pvti.ts';
import type { GuestCpu, GuestKernelCpu, TimekeeperCpu, TscAndVcpu } from '../../guest/cpu.ts';
import { lineAt, signed8 } from '../../guest/sequence.ts';
import type { KvmHypervisor } from '../../hypervisor/kvm.ts';
import { atomicLoads } from '../loads.ts';
import { openHypervisor, RECORDS_AT, type SimulatedVm, WALL_CLOCK_AT } from './vm.ts';

/** What the latest loads from records gave, and the latest TSC: after a reader has returned, what it made its answer from. */
export interface TakenLine {
  tscTimestamp: bigint;
  systemTime: bigint;
  mul: number;
  shift: number;
  flags: number;
  tsc: bigint;
}

export function nothingTaken(): TakenLine {
  return { tscTimestamp: 0n, systemTime: 0n, mul: 0, shift: 0, flags: 0, tsc: 0n };
}

export class SimulatedVcpu implements GuestKernelCpu, TimekeeperCpu {
  readonly id: number;
  /** Where loads are noted: to be replaced by who wants to tell one reader's from another's. */
  taken: TakenLine = nothingTaken();
  /** How often a retry loop went round. */
  rounds = 0;
  readonly #vm: SimulatedVm;
  readonly #hypervisor: KvmHypervisor;
  readonly #loads: Pick<GuestCpu, 'load8' | 'load32' | 'load64'>;
  readonly #stores: GuestStores;
  readonly #ownTimestamp: number;
  #tscOffset = 0n;

  constructor(vm: SimulatedVm, id: number) {
    this.id = id;
    this.#vm = vm;
    this.#hypervisor = openHypervisor(vm);
    this.#loads = atomicLoads(vm.memory);
    this.#stores = guestStores(vm.memory);
    this.#ownTimestamp = pvtiAddress(RECORDS_AT, id) + PVTI.tscTimestamp;
  }

  /** What the guest's kernel does at boot: it asks for this vCPU's record, and vCPU 0 for the wall clock. Out of the guest. */
  boot(): void {
    const record = BigInt(pvtiAddress(RECORDS_AT, this.id));
    if (this.id === 0) this.#hypervisor.wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, BigInt(WALL_CLOCK_AT));
    this.#hypervisor.wrmsr(this.id, MSR_KVM_SYSTEM_TIME_NEW, record | 1n);
  }

  /** Returns once it runs guest code. What was asked of it meanwhile is done first. */
  enter(): void {
    const { offsetAsked, offsets } = this.#vm;
    const asked = Atomics.load(offsetAsked, this.id) !== 0;
    if (asked) this.#hypervisor.setTscOffset(this.id, Atomics.load(offsets, this.id));
    this.#hypervisor.enter(this.id);
    this.#tscOffset = this.#hypervisor.tscOffset(this.id); // as a processor takes it at the entry
    if (!asked) return;
    Atomics.store(offsetAsked, this.id, 0);
    Atomics.notify(offsetAsked, this.id);
  }

  leave(): void {
    this.#hypervisor.leave(this.id);
  }

  /** Host TSC at which this vCPU's own record begins: of updates so far it was told when it entered. */
  toldTsc(): bigint {
    return BigInt.asUintN(64, this.#loads.load64(this.#ownTimestamp) - this.#tscOffset);
  }

  /** Host TSC at which the line begins that was taken, if it is one of a stable clock. */
  takenTsc(): bigint {
    return BigInt.asUintN(64, this.taken.tscTimestamp - this.#vm.matchingOffset);
  }

  /** What the line taken gives at the TSC that was read last, ns. */
  takenNs(): bigint {
    const { tsc, tscTimestamp, systemTime, mul, shift } = this.taken;
    return lineAt(tsc, tscTimestamp, systemTime, mul, shift);
  }

  load8(address: number): number {
    this.#interruptible();
    const value = this.#loads.load8(address);
    if (address < RECORDS_AT) return value;
    const field = address % PVTI_SIZE;
    if (field === PVTI.tscShift) this.taken.shift = signed8(value);
    else if (field === PVTI.flags) this.taken.flags = value;
    return value;
  }

  load32(address: number): number {
    this.#interruptible();
    const value = this.#loads.load32(address);
    if (address >= RECORDS_AT && address % PVTI_SIZE === PVTI.tscToSystemMul) this.taken.mul = value;
    return value;
  }

  load64(address: number): bigint {
    this.#interruptible();
    const value = this.#loads.load64(address);
    if (address < RECORDS_AT) return value;
    const field = address % PVTI_SIZE;
    if (field === PVTI.tscTimestamp) this.taken.tscTimestamp = value;
    else if (field === PVTI.systemTime) this.taken.systemTime = value;
    return value;
  }

  rdtscOrdered(): bigint {
    return this.rdtsc(); // a call of hrtime: nothing passes it
  }

  rdtsc(): bigint {
    this.#interruptible();
    this.taken.tsc = BigInt.asUintN(64, this.#hypervisor.vm.hostClock.tsc() + this.#tscOffset);
    return this.taken.tsc;
  }

  store32(address: number, value: number): void {
    this.#interruptible();
    this.#stores.store32(address, value);
  }

  store64(address: number, value: bigint): void {
    this.#interruptible();
    this.#stores.store64(address, value);
  }

  compareExchange64(address: number, expected: bigint, desired: bigint): bigint {
    this.#interruptible();
    return this.#stores.compareExchange64(address, expected, desired);
  }

  fetchAnd8(address: number, mask: number): number {
    this.#interruptible();
    return this.#stores.fetchAnd8(address, mask);
  }

  writeBarrier(): void {} // nor does a store pass another

  fence(): void {}

  rdtscp(): TscAndVcpu {
    return { tsc: this.rdtsc(), vcpu: this.id };
  }

  readBarrier(): void {} // the loads are atomic: none passes another

  loadFence(): void {}

  vcpu(): number {
    this.#interruptible();
    return this.id;
  }

  relax(): void {
    this.rounds++;
    this.#interruptible();
  }

  /** Leaves the guest and enters again where the vCPU was kicked. */
  #interruptible(): void {
    if (Atomics.load(this.#vm.kicks, this.id) !== 0) this.exit();
  }

  /** Leaves the guest and enters again. */
  exit(): void {
    Atomics.store(this.#vm.kicks, this.id, 0); // before the requests are looked at: a later kick stands
    this.leave();
    this.enter();
  }
}

type GuestStores = Pick<GuestKernelCpu & TimekeeperCpu, 'store32' | 'store64' | 'compareExchange64' | 'fetchAnd8'>;

/** All atomic, as the loads are. */
function guestStores(memory: SharedArrayBuffer): GuestStores {
  const bytes = new Uint8Array(memory);
  const words = new Uint32Array(memory);
  const longs = new BigUint64Array(memory);
  return {
    store32: (address, value) => void Atomics.store(words, address >>> 2, value),
    store64: (address, value) => void Atomics.store(longs, address >>> 3, value),
    compareExchange64: (address, expected, desired) => Atomics.compareExchange(longs, address >>> 3, expected, desired),
    fetchAnd8: (address, mask) => Atomics.and(bytes, address, mask),
  };
}
