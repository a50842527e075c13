/**
 * The clock over time: looks at it, one after the other, become samples, changes and drift. Only the latest are kept, so
 * that a watch of any length takes the same memory. Nothing is measured here.
 */
import type { Pvti } from '../abi/pvti.ts';
import { CHANGE_KINDS, type ChangeKind, recordChange } from '../guest/change.ts';
import type { Sample, SampleColumns, SeenChange } from '../guest/observed.ts';
import { lineAt } from '../guest/sequence.ts';
import { type DriftReport, driftBetween, type Pairing } from './drift.ts';

/** One look at the clock: every vCPU's record, a TSC read after them, and bracketed readings of the kernel's clocks. */
export interface Look {
  readonly atMs: number;
  readonly records: ReadonlyMap<number, Pvti>;
  readonly tsc: bigint;
  /** Against CLOCK_MONOTONIC_RAW first, against CLOCK_MONOTONIC second. */
  readonly pairings: readonly Pairing[];
}

export interface Noted {
  readonly sample: Sample;
  readonly changes: readonly SeenChange[];
}

export const SAMPLES_KEPT = 600;
export const CHANGES_KEPT = 200;

interface Kept {
  readonly sample: Sample;
  readonly pairings: readonly Pairing[];
}

export class History {
  #kept: Kept[] = [];
  #changes: SeenChange[] = [];
  #counts = Object.fromEntries(CHANGE_KINDS.map((kind) => [kind, 0])) as Record<ChangeKind, number>;
  #last: Look | undefined;
  /** Where the drift is taken from: the oldest sample kept, or the first after the clock was set. */
  #driftFrom: readonly Pairing[] = [];

  /** Takes one look in, and says what it shows. */
  add(look: Look): Noted {
    const changes = this.#changesSince(look);
    this.#changes = [...this.#changes, ...changes].slice(-CHANGES_KEPT);
    for (const { kind } of changes) this.#counts[kind]++;
    const sample = sampleOf(look);
    this.#kept.push({ sample, pairings: look.pairings });
    if (this.#kept.length > SAMPLES_KEPT) {
      const dropped = this.#kept.shift()!;
      if (dropped.pairings === this.#driftFrom) this.#driftFrom = this.#kept[0]!.pairings;
    }
    if (this.#last === undefined || changes.some(movesTheClock)) this.#driftFrom = look.pairings;
    this.#last = look;
    return { sample, changes };
  }

  get last(): Look | undefined {
    return this.#last;
  }

  get changes(): readonly SeenChange[] {
    return this.#changes;
  }

  /** How often each kind was seen, since the beginning. */
  get counts(): Readonly<Record<ChangeKind, number>> {
    return this.#counts;
  }

  columns(): SampleColumns {
    const column = (key: 'atMs' | 'rawNs' | 'monotonicNs') => this.#kept.map(({ sample }) => sample[key]);
    return { atMs: column('atMs'), rawNs: column('rawNs'), monotonicNs: column('monotonicNs') };
  }

  /** Over what is kept, or since the clock was set; none before the second look. */
  drift(): DriftReport[] {
    const pairings = this.#last?.pairings ?? [];
    if (pairings === this.#driftFrom) return [];
    return pairings.map((pairing, index) => driftBetween(this.#driftFrom[index]!, pairing));
  }

  #changesSince({ atMs, records, tsc }: Look): SeenChange[] {
    const list: SeenChange[] = [];
    for (const [vcpu, after] of records) {
      const before = this.#last?.records.get(vcpu);
      const change = before === undefined ? undefined : recordChange(before, after, tsc);
      if (change === undefined) continue;
      const jumpNs = change.jumpNs === undefined ? null : Number(change.jumpNs);
      const versions = { fromVersion: change.before.version, toVersion: after.version };
      list.push({ atMs, vcpu, kind: change.kind, ...versions, jumpNs });
    }
    return list;
  }
}

/** Across such a change a difference of readings says nothing of the rate. */
function movesTheClock({ vcpu, kind }: SeenChange): boolean {
  return vcpu === 0 && (kind === 'restore' || kind === 'migration');
}

function sampleOf({ atMs, records, tsc, pairings }: Look): Sample {
  const first = records.get(0)!;
  const { tscTimestamp, systemTime, tscToSystemMul, tscShift } = first;
  const [raw, monotonic] = pairings.map(({ clockNs, kernelNs }) => Number(clockNs - kernelNs));
  return {
    atMs,
    tsc: String(tsc),
    clockNs: String(lineAt(tsc, tscTimestamp, systemTime, tscToSystemMul, tscShift)),
    rawNs: raw!,
    monotonicNs: monotonic!,
    uncertaintyNs: Math.max(...pairings.map(({ widthNs }) => Number(widthNs))) / 2,
  };
}
