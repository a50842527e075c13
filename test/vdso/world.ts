/**
 * Two records, a TSC and a hypervisor that strikes between any two operations: the same script is played to a plain reader
 * and to the emitted one, and each operation is written down.
 */
import { encodePvti, PVTI_LAYOUT, PVTI_SIZE, type Pvti } from '../../src/abi/pvti.ts';
import { encodeStruct } from '../../src/abi/struct.ts';
import type { GuestCpu } from '../../src/guest/cpu.ts';
import { VCPU_SELECTOR } from '../../src/vdso/readers.ts';
import type { Emulator, Platform } from './emulator.ts';
import { RAX, RDI, RSI } from './semantics.ts';

/** Before operation number `at`, these fields of a vCPU's record change. */
export interface Strike {
  readonly at: number;
  readonly vcpu: number;
  readonly fields: Partial<Pvti>;
}

export interface Script {
  /** Of vCPU 0 and 1. */
  readonly records: readonly Pvti[];
  readonly strikes: readonly Strike[];
  /** What the TSC and the vCPU number are when they are read: one after the other, then the last again and again. */
  readonly tscs: readonly bigint[];
  readonly vcpus: readonly number[];
  /** CLOCK_MONOTONIC_RAW, at each call. */
  readonly kernelNs: readonly bigint[];
  readonly hasRdtscp: boolean;
  /** The image's own words: whether the records are attached, and what is added to the kernel's clock. */
  readonly attached: boolean;
  readonly offset: bigint;
}

/** Thrown at an operation beyond the last that is written down: the reader goes round for ever. */
export class Stuck extends Error {}

const MOST_OPERATIONS = 80;
const NODE = 5 << 12; // above the vCPU number in the segment limit
const NSEC_PER_SEC = 1_000_000_000n;
const SYS_CLOCK_GETTIME = 228n;

/** Where the records stand, for the emitted reader; the plain one finds them at 0. */
export const RECORDS_AT = 0x5000_0000n;

/** Where the emitted readers' caller keeps its line. */
export const LINE_AT = 0x6000_0000n;

export class World implements Platform {
  readonly log: string[] = [];
  readonly line = new DataView(new ArrayBuffer(64));
  readonly #memory = new DataView(new ArrayBuffer(2 * PVTI_SIZE));
  readonly #script: Script;
  #taken = { tscs: 0, vcpus: 0, kernelNs: 0 };

  constructor(script: Script) {
    this.#script = script;
    for (const [vcpu, record] of script.records.entries()) encodePvti(record, this.#memory, vcpu * PVTI_SIZE);
    for (let at = 0; at < 64; at += 8) this.line.setBigUint64(at, 2n ** 64n - 1n, true);
  }

  load(address: bigint, bits: number): bigint {
    if (address >= LINE_AT) return this.line.getBigUint64(Number(address - LINE_AT), true); // the caller's own
    return this.#load(Number(address - RECORDS_AT), bits);
  }

  store(address: bigint, bits: number, value: bigint): void {
    if (address < LINE_AT || bits !== 64) throw new Error(`a store to ${address.toString(16)}: records are read-only`);
    this.line.setBigUint64(Number(address - LINE_AT), value, true);
  }

  tsc(order: 'ordered' | 'plain'): bigint {
    this.#operation(`tsc ${order}`);
    return this.#next('tscs');
  }

  rdtscp(): bigint {
    if (!this.#script.hasRdtscp) throw new Error('RDTSCP on a processor that has none');
    return this.tsc('ordered');
  }

  fence(): void {
    this.#operation('fence');
  }

  segmentLimit(selector: number): number {
    if (selector !== VCPU_SELECTOR) throw new Error(`LSL of selector ${selector}`);
    return NODE | this.#vcpu();
  }

  cpuid(leaf: number, subleaf: number): number {
    this.#operation(`cpuid ${leaf.toString(16)} ${subleaf}`);
    return this.#script.hasRdtscp ? 0xffff_ffff : ~(1 << 27);
  }

  syscall(emulator: Emulator): bigint {
    const { registers } = emulator;
    if (registers[RAX] !== SYS_CLOCK_GETTIME) throw new Error(`system call ${registers[RAX]}`);
    const ns = this.kernelNs(Number(registers[RDI]!));
    emulator.store(registers[RSI]!, 64, ns / NSEC_PER_SEC);
    emulator.store(registers[RSI]! + 8n, 64, ns % NSEC_PER_SEC);
    return 0n;
  }

  kernelNs(clock: number): bigint {
    this.#operation(`clock ${clock}`);
    return this.#next('kernelNs');
  }

  pause(): void {
    this.#operation('relax');
  }

  /** The same world as a plain reader sees it. A read barrier is no operation: on x86 it is no instruction either. */
  get cpu(): GuestCpu {
    return {
      load8: (address) => Number(this.#load(address, 8)),
      load32: (address) => Number(this.#load(address, 32)),
      load64: (address) => this.#load(address, 64),
      rdtscOrdered: () => this.tsc('ordered'),
      rdtsc: () => this.tsc('plain'),
      rdtscp: () => {
        throw new Error('no emitted reader takes number and TSC at once');
      },
      readBarrier: () => {},
      loadFence: () => this.fence(),
      vcpu: () => this.#vcpu(),
      relax: () => this.pause(),
    };
  }

  #vcpu(): number {
    this.#operation('vcpu');
    return this.#next('vcpus');
  }

  #load(address: number, bits: number): bigint {
    this.#operation(`load${bits} ${address}`);
    if (bits === 8) return BigInt(this.#memory.getUint8(address));
    return bits === 32 ? BigInt(this.#memory.getUint32(address, true)) : this.#memory.getBigUint64(address, true);
  }

  #next<K extends 'tscs' | 'vcpus' | 'kernelNs'>(what: K): Script[K][number] {
    const values: readonly Script[K][number][] = this.#script[what];
    return values[Math.min(this.#taken[what]++, values.length - 1)]!;
  }

  #operation(name: string): void {
    if (this.log.length >= MOST_OPERATIONS) throw new Stuck('too many operations');
    for (const { at, vcpu, fields } of this.#script.strikes) {
      if (at !== this.log.length) continue;
      const layout = Object.fromEntries(Object.entries(PVTI_LAYOUT).filter(([field]) => field in fields));
      encodeStruct(layout, fields as Record<string, never>, this.#memory, vcpu * PVTI_SIZE);
    }
    this.log.push(name);
  }
}
