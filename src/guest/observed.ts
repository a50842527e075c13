/**
 * What is seen of a guest's clock over time, as it is told to a page that watches: events by name, each plain JSON.
 *
 *   hello     once, when the page connects: what there is, and what was seen lately
 *   sample    each look at the clock
 *   records   all records anew, when any of them was rewritten
 *   change    one rewrite of one record
 *   costs     what a read costs, measured anew
 *   order     whether time ever went back between vCPUs, counted further
 *
 * A u64 is a string of decimal digits; `atMs` is a time of day in ms since 1970; other times are numbers of ns.
 */
import type { Pvti } from '../abi/pvti.ts';
import type { ChangeKind } from './change.ts';

export interface SeenRecord {
  readonly vcpu: number;
  readonly version: number;
  readonly tscTimestamp: string;
  readonly systemTime: string;
  readonly tscToSystemMul: number;
  readonly tscShift: number;
  readonly flags: number;
}

export interface Sample {
  readonly atMs: number;
  readonly tsc: string;
  /** The clock at `tsc`, by record 0. */
  readonly clockNs: string;
  /** The clock less the kernel's, to within `uncertaintyNs` either way. */
  readonly rawNs: number;
  readonly monotonicNs: number;
  readonly uncertaintyNs: number;
}

/** Samples as columns, oldest first: what a plot takes. */
export interface SampleColumns {
  readonly atMs: readonly number[];
  readonly rawNs: readonly number[];
  readonly monotonicNs: readonly number[];
}

export interface SeenChange {
  readonly atMs: number;
  readonly vcpu: number;
  readonly kind: ChangeKind;
  readonly fromVersion: number;
  readonly toVersion: number;
  /** New line less old line, ns; null where it cannot be told. */
  readonly jumpNs: number | null;
}

export interface SeenCosts {
  readonly readers: readonly {
    readonly name: string;
    readonly ns: { readonly min: number; readonly median: number; readonly max: number };
    /** Median over the floor's. */
    readonly toFloor: number;
  }[];
  /** The cheapest that is ordered: no reader can be below it. */
  readonly floor: string;
  readonly readTimes: ReadTimes;
}

/** How long single reads took: `counts[i]` of them at least `fromNs[i]` and below `fromNs[i + 1]`; the last has no end. */
export interface ReadTimes {
  readonly fromNs: readonly number[];
  readonly counts: readonly number[];
}

/** Totals since the watch began. */
export interface SeenOrder {
  readonly reads: number;
  readonly warps: number;
  readonly stalls: number;
  readonly worstNs: number;
}

export interface Hello {
  readonly machine: 'live' | 'simulated';
  /** Where the record was found, or why there is none. */
  readonly why: string;
  readonly version: string;
  readonly node: string;
  readonly clocksource: string | null;
  readonly records: readonly SeenRecord[];
  readonly samples: SampleColumns;
  readonly changes: readonly SeenChange[];
  readonly costs: SeenCosts | null;
  readonly order: SeenOrder | null;
}

export interface Told {
  hello: Hello;
  sample: Sample;
  records: readonly SeenRecord[];
  change: SeenChange;
  costs: SeenCosts;
  order: SeenOrder;
}

export type EventName = keyof Told;

export function toSeen(vcpu: number, record: Pvti): SeenRecord {
  const { tscTimestamp, systemTime } = record;
  return { ...record, vcpu, tscTimestamp: String(tscTimestamp), systemTime: String(systemTime) };
}

export function fromSeen({ vcpu: _, ...record }: SeenRecord): Pvti {
  return { ...record, tscTimestamp: BigInt(record.tscTimestamp), systemTime: BigInt(record.systemTime) };
}
