/**
 * Time in the checker: the host's TSC and clock, which move on in a few ticks; what a vCPU's own record told it when it entered
 * the guest; the TSC that it reads there; and the times that calls have returned, with their order.
 */
import { lineAt, signed8 } from '../guest/sequence.ts';
import { byteOf, type Cells } from './cells.ts';
import type { Answer } from './replay.ts';
import type { OwnRecord, Scenario } from './scenario.ts';

/** What a vCPU in guest mode was told: the line of its own record, and the TSC offset that its processor was loaded with. */
interface Told {
  readonly stamp: number;
  readonly tscTimestamp: bigint;
  readonly systemTime: bigint;
  readonly mul: number;
  readonly shift: number;
  readonly tscOffset: bigint;
}

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** More different times than this, and the scenario is not a small one. */
export const MAX_TIMES = 256;

/** Different tellings of one vCPU. */
const MAX_TOLD = 256;

export class Clocks {
  readonly #cells: Cells;
  readonly #scenario: Scenario;
  readonly #told: Told[] = [];
  readonly #toldIds = new Map<string, number>();
  readonly #toldOf: Map<number, number>[];
  readonly #readings: Answer[] = [];
  readonly #readingIds = new Map<string, number>();
  readonly #readingOf = new Map<number, number>();
  readonly #times: bigint[] = [-1n];
  /** 1 at a * MAX_TIMES + b where time a is before time b, both by number. */
  readonly before = new Uint8Array(MAX_TIMES * MAX_TIMES);
  /** The stamp of each `told`, for the search. */
  toldStamp = new Int32Array(MAX_TOLD);

  constructor(cells: Cells, scenario: Scenario) {
    this.#cells = cells;
    this.#scenario = scenario;
    this.#toldOf = scenario.hosts.map(() => new Map());
  }

  /** The number of what `vcpu` is told by these values of the cells of its own record and TSC offset. */
  told(vcpu: number, tscTimestamp: number, systemTime: number, mul: number, shift: number, tscOffset: number): number {
    const key = (((tscTimestamp * 256 + systemTime) * 256 + mul) * 256 + shift) * 256 + tscOffset;
    const known = this.#toldOf[vcpu]!.get(key);
    if (known !== undefined) return known;
    const cells = this.#cells;
    const own: OwnRecord = this.#scenario.ownRecords[vcpu]!;
    const last = cells.value(own.tscShift, shift);
    const told: Told = {
      stamp: cells.stamp(own.tscShift, shift),
      tscTimestamp: BigInt(cells.value(own.tscTimestamp, tscTimestamp)),
      systemTime: BigInt(cells.value(own.systemTime, systemTime)),
      mul: Number(cells.value(own.tscToSystemMul, mul)),
      shift: signed8(byteOf(last, 0)),
      tscOffset: BigInt(cells.value(own.tscOffset, tscOffset)),
    };
    const content = Object.values(told).join(' ');
    let id = this.#toldIds.get(content);
    if (id === undefined) {
      if (this.#told.length === MAX_TOLD)
        throw new RangeError(`checker: more than ${MAX_TOLD} records that a vCPU was told of`);
      id = this.#told.push(told) - 1;
      this.#toldIds.set(content, id);
      this.toldStamp[id] = told.stamp;
    }
    this.#toldOf[vcpu]!.set(key, id);
    return id;
  }

  /** The number of the TSC read by `vcpu`, told `told`, after `tick` ticks. */
  reading(vcpu: number, told: number, tick: number): number {
    const key = (told * 256 + tick) * 32 + vcpu;
    const known = this.#readingOf.get(key);
    if (known !== undefined) return known;
    const { tscTimestamp, systemTime, mul, shift, tscOffset } = this.#told[told]!;
    const tsc = u64(this.hostTsc(tick) + tscOffset);
    const expected = lineAt(tsc, tscTimestamp, systemTime, mul, shift);
    const content = `${tsc} ${vcpu} ${expected}`;
    let id = this.#readingIds.get(content);
    if (id === undefined) {
      id = this.#readings.push({ value: tsc, stamp: 0, vcpu, expected }) - 1;
      this.#readingIds.set(content, id);
    }
    this.#readingOf.set(key, id);
    return id;
  }

  readingAnswer(id: number): Answer {
    return this.#readings[id]!;
  }

  hostTsc(tick: number): bigint {
    return this.#scenario.hostTsc + BigInt(tick);
  }

  hostNs(tick: number): bigint {
    return this.#scenario.hostNs + BigInt(tick);
  }

  /** The number of a returned time; 0 stands for none yet, which is before all. */
  time(ns: bigint): number {
    const found = this.#times.indexOf(ns);
    if (found >= 0) return found;
    if (this.#times.length === MAX_TIMES) throw new RangeError(`checker: more than ${MAX_TIMES} different times`);
    const id = this.#times.push(ns) - 1;
    this.#times.forEach((other, index) => {
      this.before[index * MAX_TIMES + id] = other < ns ? 1 : 0;
      this.before[id * MAX_TIMES + index] = ns < other ? 1 : 0;
    });
    return id;
  }

  timeOf(id: number): bigint {
    return this.#times[id]!;
  }
}
