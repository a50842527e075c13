/**
 * Watches this machine's clock: looks at it often, times the readers now and then, and counts warps seldom, as that
 * takes every vCPU for a moment. What it sees it tells, and keeps the latest of.
 */
import type { EventName, Hello, SeenCosts, SeenOrder, SeenRecord, Told } from '../guest/observed.ts';
import { toSeen } from '../guest/observed.ts';
import { recordReport } from '../guest/record-report.ts';
import { allowedCpus } from '../machine/affinity.ts';
import { type LiveMachine, openLive } from '../machine/live.ts';
import type { WarpCount } from '../machine/measure.ts';
import { isUnavailable } from '../machine/sys.ts';
import { countWarps } from '../machine/warps.ts';
import { benchReaders, type Effort, FLOOR, type ReaderCost, tellingCosts } from './bench.ts';
import { clocksource } from './doctor.ts';
import { pairings } from './drift.ts';
import { History, type Look } from './history.ts';
import type { Measured } from './metrics.ts';
import { ReadTimeCounter } from './read-times.ts';

export const LOOK_EVERY_MS = 500;
const COSTS_EVERY_MS = 5000;
const ORDER_EVERY_MS = 60_000;
const EFFORT: Effort = { rounds: 3, warmUp: 1, calls: 2000 };
const READ_TIMES = 1000;
const WARP_READS = 200_000;

/** Is told each event as it comes. */
export type Tell = <N extends EventName>(name: N, told: Told[N]) => void;

export interface Observer {
  /** What there is to say to someone who comes now. */
  hello(): Hello;
  /** What there is to say to a collector of metrics. */
  measured(): Measured;
  stop(): void;
}

/** `version`: of this package. `failed` is told, once, why the vCPUs cannot be compared. */
export function observe(version: string, tell: Tell, failed: (why: string) => void): Observer {
  const live = openLive();
  return isUnavailable(live) ? nothingToSee(version, live.unavailable) : new LiveObserver(version, live, tell, failed);
}

class LiveObserver implements Observer {
  readonly #version: string;
  readonly #live: LiveMachine;
  readonly #tell: Tell;
  readonly #failed: (why: string) => void;
  readonly #history = new History();
  readonly #readTimes = new ReadTimeCounter();
  readonly #timers: NodeJS.Timeout[];
  #readers: readonly ReaderCost[] = [];
  #warps: WarpCount | undefined;

  constructor(version: string, live: LiveMachine, tell: Tell, failed: (why: string) => void) {
    this.#version = version;
    this.#live = live;
    this.#tell = tell;
    this.#failed = failed;
    this.#look();
    this.#time();
    void this.#compare();
    this.#timers = [
      setInterval(() => this.#look(), LOOK_EVERY_MS),
      setInterval(() => this.#time(), COSTS_EVERY_MS),
      setInterval(() => void this.#compare(), ORDER_EVERY_MS),
    ];
  }

  hello(): Hello {
    return {
      ...about(this.#version, 'live', this.#live.where),
      records: this.#records(),
      samples: this.#history.columns(),
      changes: this.#history.changes,
      costs: this.#costs(),
      order: this.#warps ?? null,
    };
  }

  measured(): Measured {
    const { records, tsc } = this.#history.last!;
    const first = records.get(0)!;
    return {
      version: this.#version,
      found: true,
      records: [...records].map(([vcpu, record]) => recordReport(vcpu, record, first, tsc)),
      changes: this.#history.counts,
      drift: this.#history.drift(),
      offsets: this.#history.last!.pairings.map(({ against, clockNs, kernelNs }) => ({
        against,
        offsetNs: Number(clockNs - kernelNs),
      })),
      readers: this.#readers,
      warps: this.#warps,
    };
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  #look(): void {
    const { sample, changes } = this.#history.add(lookAt(this.#live));
    this.#readTimes.add(this.#live.image.kvmclock_now, READ_TIMES);
    this.#tell('sample', sample);
    if (changes.length > 0) this.#tell('records', this.#records());
    for (const change of changes) this.#tell('change', change);
  }

  #time(): void {
    this.#readers = tellingCosts(benchReaders(this.#live, EFFORT), this.#stable());
    this.#tell('costs', this.#costs());
  }

  async #compare(): Promise<void> {
    if (!this.#stable()) return;
    try {
      const count = await countWarps(allowedCpus(this.#live.sys), WARP_READS);
      this.#warps = sum(this.#warps, count);
      this.#tell('order', this.#warps satisfies SeenOrder);
    } catch (error) {
      this.#failed(`the vCPUs cannot be compared: ${error instanceof Error ? error.message : String(error)}`);
      clearInterval(this.#timers[2]);
    }
  }

  #stable(): boolean {
    const { records, tsc } = this.#history.last!;
    const first = records.get(0)!;
    return [...records].every(([vcpu, record]) => recordReport(vcpu, record, first, tsc).stable);
  }

  #records(): SeenRecord[] {
    return [...this.#history.last!.records].map(([vcpu, record]) => toSeen(vcpu, record));
  }

  #costs(): SeenCosts {
    return { readers: this.#readers, floor: FLOOR, readTimes: this.#readTimes.counted() };
  }
}

function lookAt(live: LiveMachine): Look {
  return {
    atMs: Date.now(),
    records: new Map(live.vcpus().map((vcpu) => [vcpu, live.record(vcpu)])),
    tsc: live.image.kvmclock_rdtsc_ordered(),
    pairings: pairings(live.image.kvmclock_now, live.sys),
  };
}

/** Warps are rare where there are any: one count after the other adds up. */
export function sum(before: WarpCount | undefined, count: WarpCount): WarpCount {
  if (before === undefined) return count;
  return {
    reads: before.reads + count.reads,
    warps: before.warps + count.warps,
    stalls: before.stalls + count.stalls,
    worstNs: Math.max(before.worstNs, count.worstNs),
  };
}

function about(version: string, machine: Hello['machine'], why: string) {
  return { machine, why, version, node: process.version, clocksource: clocksource()?.current ?? null };
}

/** Where there is no record: the page says why, and the metrics say that there is none. */
function nothingToSee(version: string, why: string): Observer {
  const samples = { atMs: [], rawNs: [], monotonicNs: [] };
  return {
    hello: () => ({
      ...about(version, 'simulated', why),
      records: [],
      samples,
      changes: [],
      costs: null,
      order: null,
    }),
    measured: () => ({
      version,
      found: false,
      records: [],
      changes: undefined,
      drift: [],
      offsets: [],
      readers: [],
      warps: undefined,
    }),
    stop: () => {},
  };
}
