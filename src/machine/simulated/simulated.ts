/**
 * The simulated machine: a VM whose vCPUs are threads that run the plain readers on records in shared memory, kept by the
 * hypervisor's own functions from one more thread. Concurrency, freeze and races are real; instructions and the TSC, which is
 * counted from process.hrtime, are not: a reading costs what TypeScript costs. It runs wherever Node does.
 *
 *   vCPU threads     enter the guest (vcpu.ts), read (reading.ts), leave when kicked
 *   host thread      updates the clock (updates.ts): freeze, VM-wide copy, records
 *   this thread      asks them, and looks at the records from outside
 */
import { type Pvti, pvtiAddress } from '../../abi/pvti.ts';
import type { GuestCpu } from '../../guest/cpu.ts';
import { landed } from '../../guest/landed.ts';
import { snapshot } from '../../guest/snapshot.ts';
import { FLAVOURS, type Flavour } from '../../hypervisor/flavours.ts';
import { atomicLoads } from '../loads.ts';
import { SIMULATED_TSC_HZ, simulatedClock } from './clock.ts';
import type { HostData, HostReply, HostRequest } from './host-worker.ts';
import type { ReaderSource } from './readers.ts';
import { createRun, type ReadingCounts, totalOf } from './reading.ts';
import { SimulatedThread } from './thread.ts';
import { leastVcpus, type UpdateKind } from './updates.ts';
import type { VcpuData, VcpuReplies, VcpuRequest } from './vcpu-worker.ts';
import { createSimulatedVm, RECORDS_AT, type SimulatedVm } from './vm.ts';

export interface SimulatedOptions {
  /** 1 or more; 2 if not given. They and the host run at once as far as the machine has processors. */
  readonly vcpus?: number;
  /** Rate of the TSC, Hz; SIMULATED_TSC_HZ if not given. */
  readonly tscHz?: bigint;
  /** `kvmclock` if not given. */
  readonly flavour?: Flavour;
}

export interface StressOrder {
  /** Each vCPU calls them in turns. */
  readonly readers: readonly ReaderSource[];
  readonly update: UpdateKind;
  readonly seconds: number;
  /** End as soon as so many updates were made. */
  readonly mostUpdates?: number;
  /** The host pauses for up to so long, by chance, after each update. */
  readonly pauseMs?: number;
}

export interface StressCounts {
  readonly updates: number;
  readonly seconds: number;
  /** By reader, in the order given, over all vCPUs. */
  readonly readers: readonly ReadingCounts[];
}

/** An update holds every vCPU out of the guest for some microseconds: without a pause none would ever get to read. */
const PAUSE_MS = 0.01;
/** For a thread to do what it was asked for, beside the time that it was given: on a machine that is busy with other things. */
const GRACE_MS = 60_000;

export class SimulatedMachine {
  readonly vm: SimulatedVm;
  readonly #vcpus: readonly SimulatedThread[];
  readonly #host: SimulatedThread;
  readonly #onlooker: GuestCpu;

  private constructor(vm: SimulatedVm) {
    this.vm = vm;
    this.#vcpus = Array.from(
      { length: vm.vcpus },
      (_, id) => new SimulatedThread('vcpu-worker', { vm, id } satisfies VcpuData),
    );
    this.#host = new SimulatedThread('host-worker', { vm } satisfies HostData);
    this.#onlooker = onlooker(vm);
  }

  /** A VM whose vCPUs have all booted: their records are written. Throws RangeError on options that cannot be. */
  static async start(options: SimulatedOptions = {}): Promise<SimulatedMachine> {
    const { vcpus = 2, tscHz = SIMULATED_TSC_HZ, flavour = FLAVOURS.kvmclock } = options;
    const machine = new SimulatedMachine(createSimulatedVm(vcpus, tscHz, flavour));
    try {
      for (const id of machine.#vcpus.keys()) await machine.#ask(id, { task: 'boot' });
    } catch (error) {
      await machine.close();
      throw error;
    }
    return machine;
  }

  /** `vcpu`'s record as it stands, all from one update. */
  record(vcpu: number): Pvti {
    return snapshot(this.#onlooker, pvtiAddress(RECORDS_AT, vcpu));
  }

  /** The TSC now, as the guest of a stable VM has it. */
  tsc(): bigint {
    return this.#onlooker.rdtsc();
  }

  /** The VM's clock now by record 0, ns. Throws where it is not stable. */
  now(): bigint {
    const ns = landed(this.#onlooker, RECORDS_AT);
    if (ns === undefined) throw new Error('the clock of the simulated VM is not stable');
    return ns;
  }

  /** What one call of `reader` takes on vCPU 0, of `calls`, while nothing else goes on: ns. */
  async timeNs(reader: ReaderSource, calls: number): Promise<number> {
    return await this.#ask(0, { task: 'time', reader, calls });
  }

  /** Every vCPU reads while the host updates. Rejects where a thread fails or hangs, and with RangeError on an order that cannot be. */
  async stress(order: StressOrder): Promise<StressCounts> {
    const { readers, update, seconds, mostUpdates = Number.POSITIVE_INFINITY, pauseMs = PAUSE_MS } = order;
    if (this.vm.vcpus < leastVcpus(update))
      throw new RangeError(`stress: ${update} takes ${leastVcpus(update)} vCPUs or more`);
    const run = createRun();
    const deadlineMs = seconds * 1000 + GRACE_MS;
    const reading = this.#vcpus.map((_, id) => this.#ask(id, { task: 'read', readers, run }, deadlineMs));
    const request: HostRequest = { kind: update, run, seconds, mostUpdates, pauseMs };
    const [host, ...counts] = await Promise.all([this.#host.ask<HostReply>(request, deadlineMs), ...reading]);
    return { ...host, readers: readers.map((_, index) => totalOf(counts.map((vcpu) => vcpu[index]!))) };
  }

  /** Ends all threads, whatever they are doing. */
  async close(): Promise<void> {
    await Promise.all([...this.#vcpus, this.#host].map((thread) => thread.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #ask<R extends VcpuRequest>(id: number, request: R, deadlineMs = GRACE_MS): Promise<VcpuReplies[R['task']]> {
    return this.#vcpus[id]!.ask(request, deadlineMs);
  }
}

/** Looks at the guest's memory from outside: no vCPU, so nobody makes it leave the guest. */
function onlooker(vm: SimulatedVm): GuestCpu {
  const clock = simulatedClock(vm.tscHz);
  const rdtsc = (): bigint => BigInt.asUintN(64, clock.tsc() + vm.matchingOffset);
  return {
    ...atomicLoads(vm.memory),
    rdtscOrdered: rdtsc,
    rdtsc,
    rdtscp: () => ({ tsc: rdtsc(), vcpu: 0 }),
    readBarrier: () => {},
    loadFence: () => {},
    vcpu: () => 0,
    relax: () => {},
  };
}
