/**
 * A processor of one thread over real bytes, for the tests of readers: it logs every operation and, before the n-th one,
 * does what the script says: the hypervisor's stores, another vCPU's, a migration of this thread.
 */
import { encodePvti, PVTI, type Pvti, pvtiAddress } from '../../src/abi/pvti.ts';
import type { GuestKernelCpu, TscAndVcpu } from '../../src/guest/cpu.ts';
import { lineAt } from '../../src/guest/sequence.ts';

/** Where vCPU 0's record begins in the script's memory; a wall clock and a clamp's word lie below. */
export const RECORDS = 0x100;
export const LAST = 0x08;
export const WALL = 0x20;
export const SEC_HI = 0x40;

/** A stable record at 2 GHz: one cycle is half a nanosecond. */
export const STABLE: Pvti = {
  version: 4,
  tscTimestamp: 1_000_000n,
  systemTime: 7_000_000_000n,
  tscToSystemMul: 0x8000_0000,
  tscShift: 0,
  flags: 1,
};

const MOST_OPERATIONS = 1000;

export class ScriptedCpu implements GuestKernelCpu {
  readonly memory = new DataView(new ArrayBuffer(0x400));
  /** Every operation so far, as `load32 0.version` (record and field) or by its name alone. */
  readonly log: string[] = [];
  /** The vCPU that the thread is on. */
  on = 0;
  /** What each vCPU's TSC is ahead of vCPU 0's. */
  readonly tscAhead = [0n, 0n];
  /** Cycles on vCPU 0's TSC; each read takes 10. */
  cycles = 2_000_000n;
  /** `cycles` at the latest TSC read. */
  readAt = 0n;
  readonly #script = new Map<number, (() => void)[]>();

  constructor(...records: Pvti[]) {
    records.forEach((record, vcpu) => {
      encodePvti(record, this.memory, pvtiAddress(RECORDS, vcpu));
    });
  }

  /** Does `action` before operation `n`, counted from 1. */
  before(n: number, action: () => void): this {
    const actions = this.#script.get(n) ?? [];
    this.#script.set(n, [...actions, action]);
    return this;
  }

  /** Does `action` before the first operation that is logged as `name`. */
  beforeFirst(name: string, action: () => void): this {
    this.#firsts.set(name, action);
    return this;
  }

  readonly #firsts = new Map<string, () => void>();

  load8(address: number): number {
    this.#step(`load8 ${placeOf(address)}`);
    return this.memory.getUint8(address);
  }
  load32(address: number): number {
    this.#step(`load32 ${placeOf(address)}`);
    return this.memory.getUint32(address, true);
  }
  load64(address: number): bigint {
    this.#step(`load64 ${placeOf(address)}`);
    return this.memory.getBigUint64(address, true);
  }
  rdtscOrdered(): bigint {
    this.#step('rdtscOrdered');
    return this.#tsc();
  }
  rdtsc(): bigint {
    this.#step('rdtsc');
    return this.#tsc();
  }
  rdtscp(): TscAndVcpu {
    this.#step('rdtscp');
    return { tsc: this.#tsc(), vcpu: this.on };
  }
  readBarrier(): void {
    this.#step('readBarrier');
  }
  loadFence(): void {
    this.#step('loadFence');
  }
  vcpu(): number {
    this.#step('vcpu');
    return this.on;
  }
  relax(): void {
    this.#step('relax');
  }
  compareExchange64(address: number, expected: bigint, desired: bigint): bigint {
    this.#step(`compareExchange64 ${placeOf(address)}`);
    const found = this.memory.getBigUint64(address, true);
    if (found === expected) this.memory.setBigUint64(address, desired, true);
    return found;
  }
  fetchAnd8(address: number, mask: number): number {
    this.#step(`fetchAnd8 ${placeOf(address)}`);
    const found = this.memory.getUint8(address);
    this.memory.setUint8(address, found & mask);
    return found;
  }

  #tsc(): bigint {
    this.cycles += 10n;
    this.readAt = this.cycles;
    return this.cycles + this.tscAhead[this.on]!;
  }

  #step(name: string): void {
    const n = this.log.length + 1;
    if (n > MOST_OPERATIONS) throw new Error(`no answer after ${MOST_OPERATIONS} operations`);
    for (const action of this.#script.get(n) ?? []) action();
    const first = this.#firsts.get(name);
    this.#firsts.delete(name);
    first?.();
    this.log.push(name);
  }
}

/** Stores a whole record, version and all, at once. */
export function rewrite(cpu: ScriptedCpu, record: Pvti, vcpu = 0): void {
  encodePvti(record, cpu.memory, pvtiAddress(RECORDS, vcpu));
}

/** The first half of an update to `record`: the version made odd, timestamp and time stored. */
export function beginUpdate(cpu: ScriptedCpu, record: Pvti, vcpu = 0): void {
  const at = pvtiAddress(RECORDS, vcpu);
  cpu.memory.setUint32(at + PVTI.version, record.version - 1, true);
  cpu.memory.setBigUint64(at + PVTI.tscTimestamp, record.tscTimestamp, true);
  cpu.memory.setBigUint64(at + PVTI.systemTime, record.systemTime, true);
}

/** `record`'s time at `cycles` of vCPU 0's TSC. */
export function timeAt(record: Pvti, cycles: bigint): bigint {
  return lineAt(cycles, record.tscTimestamp, record.systemTime, record.tscToSystemMul, record.tscShift);
}

const FIELD_AT: ReadonlyMap<number, string> = new Map(Object.entries(PVTI).map(([field, offset]) => [offset, field]));

function placeOf(address: number): string {
  if (address < RECORDS) return `0x${address.toString(16)}`;
  const vcpu = Math.floor((address - RECORDS) / 64);
  return `${vcpu}.${FIELD_AT.get((address - RECORDS) % 64)}`;
}
