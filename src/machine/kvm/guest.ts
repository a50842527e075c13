/**
 * A guest made for measuring: long mode, code at privilege level 3, our vDSO image mapped as it is, records where Linux has
 * them. The host calls its functions one at a time, by a mailbox; each vCPU runs in a thread of its own.
 *
 * Privilege level 3 is where the measured code belongs: on a nested KVM without hardware support level 0 is emulated.
 * There, LSL and RDTSCP read the host's own tables, so a vCPU's thread is bound to the host CPU of its number where there
 * is one: then the vCPU number that guest code sees is its own.
 */
import { availableParallelism } from 'node:os';
import type { KvmExit } from '../../abi/kvm-run.ts';
import { KVM_MP_STATE_RUNNABLE } from '../../abi/kvm-structs.ts';
import { decodePvti, type Pvti, pvtiAddress } from '../../abi/pvti.ts';
import type { Flavour } from '../../hypervisor/flavours.ts';
import type { FlavourName } from '../../hypervisor/policy.ts';
import { clockCode, DATA, DATA_BYTES } from '../../vdso/clock.ts';
import { buildImage } from '../../vdso/image.ts';
import { MEASURE_DATA_BYTES, measureCode } from '../../vdso/measure.ts';
import { type GuestClock, kvmClock, ownClock } from './clock.ts';
import { CALL_DONE_PORT, GUEST_DATA_BYTES, guestCode, MAILBOX } from './guest-code.ts';
import {
  DATA_AT,
  GUEST_MEMORY_BYTES,
  IMAGES_AT,
  layOutMemory,
  MAX_GUEST_VCPUS,
  RECORDS_AT,
  sregsFor,
  vcpuPages,
} from './guest-memory.ts';
import { loadImage } from './image.ts';
import type { Kvm } from './kvm.ts';
import { SAMPLERS_DATA_BYTES, samplersCode } from './samplers.ts';
import { type ClockServiceData, startClock, takeClock } from './service.ts';
import { GuestError, VcpuThread } from './thread.ts';
import type { Vcpu } from './vcpu.ts';
import type { Vm } from './vm.ts';

export interface GuestOptions {
  readonly vcpus: number;
  /** Our hypervisor keeps the clock, in this flavour; where it is not named, KVM does. */
  readonly flavour?: FlavourName | Flavour | undefined;
  /** Threads to run on, one a vCPU, which stay open when the guest is closed; by default it starts its own. */
  readonly threads?: readonly VcpuThread[];
  /** In-kernel local APICs: then a HLT waits inside KVM_RUN. */
  readonly irqchip?: boolean;
}

/** A thread for each vCPU, bound to the host CPU of its number where there is one. */
export async function startThreads(kvm: Kvm, vcpus: number): Promise<VcpuThread[]> {
  const threads: VcpuThread[] = [];
  try {
    for (let i = 0; i < vcpus; i++) {
      threads.push(await VcpuThread.start(kvm.sys, i < availableParallelism() ? i : undefined));
    }
    return threads;
  } catch (error) {
    await Promise.all(threads.map((thread) => thread.close()));
    throw error;
  }
}

export interface CallOptions {
  /** u64 arguments, for rdi and rsi. */
  readonly first?: bigint | number;
  readonly second?: bigint | number;
  readonly deadlineMs?: number;
  /** Privilege level; 3 by default. */
  readonly ring?: 0 | 3;
}

const RFLAGS_IOPL3 = 0x3002n;
const DATA_ALIGNMENT = 64;

export class Guest {
  readonly vm: Vm;
  readonly threads: readonly VcpuThread[];
  #clock: GuestClock;
  #service: ClockServiceData | undefined;
  readonly #ownThreads: boolean;
  readonly #symbols = new Map<string, number>();
  readonly #rings: (0 | 3)[] = [];
  #free = DATA_AT;
  #hasRdtscpAt = 0;
  #closed = false;

  private constructor(vm: Vm, threads: readonly VcpuThread[], ownThreads: boolean) {
    this.vm = vm;
    this.#clock = kvmClock(vm);
    this.threads = threads;
    this.#ownThreads = ownThreads;
  }

  /** Makes a VM with its vCPUs and threads; nothing has run yet and no record is kept. Throws RangeError on a bad number. */
  static async create(kvm: Kvm, options: GuestOptions): Promise<Guest> {
    const { vcpus } = options;
    if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > MAX_GUEST_VCPUS) {
      throw new RangeError(`a guest has 1..${MAX_GUEST_VCPUS} vCPUs, got ${vcpus}`);
    }
    const threads = options.threads ?? (await startThreads(kvm, vcpus));
    let guest: Guest | undefined;
    try {
      guest = new Guest(kvm.createVm(GUEST_MEMORY_BYTES), threads, options.threads === undefined);
      guest.#layOut(vcpus, options.irqchip === true);
      if (options.flavour !== undefined) guest.#serveClock(options.flavour);
      await guest.#tryRdtscp();
      return guest;
    } catch (error) {
      if (guest !== undefined) await guest.close();
      else if (options.threads === undefined) await Promise.all(threads.map((thread) => thread.close()));
      throw error;
    }
  }

  #layOut(vcpus: number, irqchip: boolean): void {
    const { vm } = this;
    if (irqchip) vm.createIrqchip();
    layOutMemory(vm.memory, vcpus);
    const clock = loadImage(vm.memory, buildImage(clockCode(), 'kvmclock.so', DATA_BYTES), IMAGES_AT);
    const measure = loadImage(vm.memory, buildImage(measureCode(), 'measure.so', MEASURE_DATA_BYTES), clock.end);
    const own = loadImage(vm.memory, buildImage(guestCode(), 'guest.so', GUEST_DATA_BYTES), measure.end);
    const samplers = loadImage(vm.memory, buildImage(samplersCode(), 'samplers.so', SAMPLERS_DATA_BYTES), own.end);
    for (const { symbols } of [clock, measure, own, samplers])
      for (const [name, at] of symbols) this.#symbols.set(name, at);
    this.#hasRdtscpAt = clock.dataAt + DATA.hasRdtscp;
    const cpuid = vm.kvm.supportedCpuid();
    for (let i = 0; i < vcpus; i++) {
      const vcpu = vm.createVcpu();
      vcpu.setCpuid(cpuid);
      if (irqchip) vcpu.setMpState(KVM_MP_STATE_RUNNABLE); // all but the first would wait for an INIT
      this.#reset(vcpu);
    }
  }

  /** Takes the clock's MSRs away from KVM. */
  #serveClock(flavour: FlavourName | Flavour): void {
    this.#service = takeClock(this.vm, this.threads, flavour);
    this.#clock = ownClock(this.vm, startClock(this.vm.kvm.sys, this.#service));
  }

  /** The VM's clock, whoever keeps it. Not to be kept beyond `close`. */
  get clock(): GuestClock {
    if (this.#closed) throw new Error('the guest is closed, and its clock with it');
    return this.#clock;
  }

  /**
   * The image takes RDTSCP where there is one. KVM may leave it out of the CPUID only because it does not keep TSC_AUX for
   * the guest, which the readers do not want: so it is tried.
   */
  async #tryRdtscp(): Promise<void> {
    const [vcpu] = this.vm.vcpus as [Vcpu];
    try {
      await this.call(vcpu.id, 'kvmclock_rdtscp');
      this.vm.memory.view.setUint8(this.#hasRdtscpAt, 1);
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
      this.#reset(vcpu); // out of the triple fault
    }
  }

  /** The instruction by which the guest's readers read the TSC in order. */
  get orderedTsc(): 'rdtscp' | 'lfence;rdtsc' {
    return this.vm.memory.view.getUint8(this.#hasRdtscpAt) === 1 ? 'rdtscp' : 'lfence;rdtsc';
  }

  #reset(vcpu: Vcpu): void {
    const { mailbox, stackTop } = vcpuPages(vcpu.id);
    vcpu.setSregs(sregsFor(vcpu.sregs(), vcpu.id, 3));
    this.#rings[vcpu.id] = 3;
    vcpu.setRegs({
      ...vcpu.regs(),
      rip: BigInt(this.address('guest_monitor')),
      rsp: BigInt(stackTop - 16),
      rbx: BigInt(mailbox),
      rflags: RFLAGS_IOPL3,
    });
  }

  /** Where a symbol of the images is, in the guest. */
  address(symbol: string): number {
    const at = this.#symbols.get(symbol);
    if (at === undefined) throw new Error(`the guest's images have no symbol ${symbol}`);
    return at;
  }

  /** `bytes` of the guest's data, zeroed, for the guest's lifetime. Throws RangeError where there are no more. */
  allocate(bytes: number): number {
    const at = this.#free;
    this.vm.memory.slice(at, bytes).fill(0);
    this.#free = Math.ceil((at + bytes) / DATA_ALIGNMENT) * DATA_ALIGNMENT;
    return at;
  }

  /** Calls a function of the guest on `vcpu` and answers what it returned, u64. Rejects with GuestError where it does not. */
  async call(vcpu: number, symbol: string, options: CallOptions = {}): Promise<bigint> {
    const at = vcpuPages(vcpu).mailbox;
    const { view } = this.vm.memory;
    view.setBigUint64(at + MAILBOX.function, BigInt(this.address(symbol)), true);
    view.setBigUint64(at + MAILBOX.first, BigInt(options.first ?? 0), true);
    view.setBigUint64(at + MAILBOX.second, BigInt(options.second ?? 0), true);
    const exit = await this.run(vcpu, options);
    if (exit.reason !== 'io' || exit.port !== CALL_DONE_PORT) throw this.#failure(vcpu, symbol, exit);
    return this.vm.memory.view.getBigUint64(at + MAILBOX.result, true);
  }

  /** Lets `vcpu` go on from where it is until its next exit. */
  run(vcpu: number, options: Pick<CallOptions, 'deadlineMs' | 'ring'> = {}): Promise<KvmExit> {
    this.#enterRing(vcpu, options.ring ?? 3);
    return this.threads[vcpu]!.run(this.vm.vcpus[vcpu]!, { deadlineMs: options.deadlineMs, clock: this.#service });
  }

  #enterRing(id: number, ring: 0 | 3): void {
    if (this.#rings[id] === ring) return;
    const vcpu = this.vm.vcpus[id]!;
    vcpu.settle();
    vcpu.setSregs(sregsFor(vcpu.sregs(), id, ring));
    this.#rings[id] = ring;
  }

  #failure(id: number, symbol: string, exit: KvmExit): GuestError {
    const { rip } = this.vm.vcpus[id]!.regs();
    const what = exit.reason === 'shutdown' ? 'ended in a triple fault' : `came out with ${exit.reason}`;
    return new GuestError(`vCPU ${id}: ${symbol} ${what} at 0x${rip.toString(16)}`);
  }

  /** Has the record of `vcpu` kept, at `recordAt(vcpu)`. It is written at the vCPU's next entry. */
  enableRecord(vcpu: number): void {
    this.#clock.enable(vcpu, this.recordAt(vcpu));
  }

  /** Where the record of `vcpu` is, in the guest. */
  recordAt(vcpu: number): number {
    return pvtiAddress(RECORDS_AT, vcpu);
  }

  /** The record as it stands. Its vCPU should be out, or nobody be writing it. */
  record(vcpu: number): Pvti {
    return decodePvti(this.vm.memory.view, this.recordAt(vcpu));
  }

  /** Stops the vCPUs, ends the threads that it started, closes the VM. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.threads.map((thread) => (this.#ownThreads ? thread.close() : thread.stop())));
    this.vm.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
