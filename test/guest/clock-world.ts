/**
 * A page of bases, a record and a TSC, for the tests of clock_gettime and of the timekeeper: every operation is logged, and
 * before the n-th one the script's action is done. The TSC moves by `pace` cycles with every operation.
 */
import { CLOCK_BASE, CLOCK_BASE_LAYOUT, CLOCK_PAGE_BYTES, type ClockBase } from '../../src/abi/clock-base.ts';
import { encodePvti, PVTI, type Pvti } from '../../src/abi/pvti.ts';
import { encodeStruct } from '../../src/abi/struct.ts';
import type { ClockPage } from '../../src/guest/clock-gettime.ts';
import type { GuestCpu, TimekeeperCpu, TscAndVcpu } from '../../src/guest/cpu.ts';
import { landed } from '../../src/guest/landed.ts';

export const RECORDS = 0;
export const BASES = 0x40;

export const PAGE: ClockPage = { bases: BASES, records: RECORDS, read: landed };

/** A base and its sequence. */
export type SequencedBase = ClockBase & { readonly sequence: number };

const MOST_OPERATIONS = 100_000;

export class ClockWorld implements GuestCpu, TimekeeperCpu {
  readonly memory = new DataView(new ArrayBuffer(BASES + CLOCK_PAGE_BYTES));
  readonly log: string[] = [];
  tsc: bigint;
  readonly pace: bigint;
  readonly #script = new Map<number, (() => void)[]>();

  constructor(tsc = 0n, pace = 1n) {
    this.tsc = tsc;
    this.pace = pace;
  }

  putRecord(record: Pvti): this {
    encodePvti(record, this.memory, RECORDS);
    return this;
  }

  putBase(clock: number, base: SequencedBase): this {
    encodeStruct(CLOCK_BASE_LAYOUT, base, this.memory, BASES + clock * 64);
    return this;
  }

  /** Does `action` before operation `n`, counted from 1. */
  before(n: number, action: () => void): this {
    this.#script.set(n, [...(this.#script.get(n) ?? []), action]);
    return this;
  }

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
  store32(address: number, value: number): void {
    this.#step(`store32 ${placeOf(address)}`);
    this.memory.setUint32(address, value, true);
  }
  store64(address: number, value: bigint): void {
    this.#step(`store64 ${placeOf(address)}`);
    this.memory.setBigUint64(address, value, true);
  }
  rdtscOrdered(): bigint {
    this.#step('rdtscOrdered');
    return this.tsc;
  }
  rdtsc(): bigint {
    this.#step('rdtsc');
    return this.tsc;
  }
  rdtscp(): TscAndVcpu {
    throw new Error('not used here');
  }
  readBarrier(): void {
    this.#step('readBarrier');
  }
  writeBarrier(): void {
    this.#step('writeBarrier');
  }
  loadFence(): void {
    this.#step('loadFence');
  }
  fence(): void {
    this.#step('fence');
  }
  vcpu(): number {
    return 0;
  }
  relax(): void {
    this.#step('relax');
  }

  #step(name: string): void {
    const n = this.log.length + 1;
    if (n > MOST_OPERATIONS) throw new Error(`no answer after ${MOST_OPERATIONS} operations`);
    this.log.push(name);
    this.tsc += this.pace;
    for (const action of this.#script.get(n) ?? []) action();
  }
}

const FIELDS = new Map(Object.entries(CLOCK_BASE).map(([field, offset]) => [offset as number, field]));
const RECORD_FIELDS = new Map(Object.entries(PVTI).map(([field, offset]) => [offset as number, field]));

/** `1.mult`: a field of the base of clock 1; `record.flags`: one of the record. */
function placeOf(address: number): string {
  if (address < BASES) return `record.${RECORD_FIELDS.get(address)}`;
  const at = address - BASES;
  return `${Math.floor(at / 64)}.${FIELDS.get(at % 64)}`;
}

/** Thrown where a writer has done as many operations as it was let do. */
class Stopped extends Error {}

/**
 * A writer that is let run a few operations at a time, between those of somebody else: each time it is run from its
 * beginning, on the answers that it was given before.
 */
export class SteppedWriter {
  readonly #world: ClockWorld;
  readonly #write: (cpu: TimekeeperCpu & Pick<GuestCpu, 'rdtscOrdered'>) => void;
  readonly #answers: (number | bigint | undefined)[] = [];
  done = false;

  constructor(world: ClockWorld, write: (cpu: TimekeeperCpu & Pick<GuestCpu, 'rdtscOrdered'>) => void) {
    this.#world = world;
    this.#write = write;
  }

  /** Goes on until `operations` are done in all, or until it is through. */
  runTo(operations: number): void {
    if (this.done) return;
    let at = 0;
    const { memory } = this.#world;
    const operation = <T extends number | bigint | undefined>(act: () => T): T => {
      if (at === operations) throw new Stopped();
      if (at === this.#answers.length) this.#answers.push(act());
      return this.#answers[at++] as T;
    };
    const nothing = () => operation(() => undefined);
    try {
      this.#write({
        load32: (address) => operation(() => memory.getUint32(address, true)),
        load64: (address) => operation(() => memory.getBigUint64(address, true)),
        store32: (address, value) => operation(() => memory.setUint32(address, value, true) as undefined),
        store64: (address, value) => operation(() => memory.setBigUint64(address, value, true) as undefined),
        writeBarrier: nothing,
        fence: nothing,
        rdtscOrdered: () => operation(() => this.#world.tsc),
      });
      this.done = true;
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
    }
  }

  /** How many operations it does in all; finishes it. */
  finish(): number {
    this.runTo(Number.POSITIVE_INFINITY);
    return this.#answers.length;
  }
}
