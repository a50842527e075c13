/**
 * What a reading of the clock costs on this machine: the thread's table, by a loop in machine code in this process, and
 * the same from JavaScript. Ratios are of medians of interleaved rounds of one run: nothing else can be compared on a
 * machine that others share.
 */
import type { Clock } from '../machine/clock.ts';
import type { LiveMachine } from '../machine/live.ts';
import { type Callee, openMeter } from '../machine/measure.ts';
import { LINE_BYTES } from '../vdso/cached.ts';
import { type Contender, interleaved, type Spread } from './statistics.ts';

export interface ReaderCost {
  readonly name: string;
  readonly ns: Spread;
  /** Median over that of lfence-rdtsc, the floor of every reader that is ordered. */
  readonly toFloor: number;
}

export interface JavaScriptCost {
  readonly name: string;
  readonly ns: Spread;
  /** Median over that of process.hrtime.bigint() as people write it, and with the function in a const. */
  readonly toHrtime: number;
  readonly toHoisted: number;
}

export interface Effort {
  readonly rounds: number;
  readonly warmUp: number;
  /** Calls a round. */
  readonly calls: number;
}

export const FLOOR = 'lfence-rdtsc';
/** A system call costs several readings: it is called less often, to take about as long. */
const SYSCALL_SHARE = 8;

/** The readers on the live record, in this process, each called in a loop of machine code. */
export function benchReaders(
  live: LiveMachine,
  effort: Effort,
  onRound?: (done: number, of: number) => void,
): ReaderCost[] {
  const { image, address } = live;
  const meter = openMeter(live);
  const line = new BigUint64Array(LINE_BYTES / 8).fill(2n ** 64n - 1n);
  const reader = (fn: { pointer: bigint }): Callee => ({ address: fn.pointer, first: address });
  const callees: Record<string, Callee> = {
    before: reader(image.kvmclock_read_before),
    rfc: reader(image.kvmclock_read_rfc),
    landed: reader(image.kvmclock_read_landed),
    cached: { ...reader(image.kvmclock_read_cached), second: live.sys.ffi.getRawPointer(line), memory: line },
    relaxed: reader(image.kvmclock_read_relaxed),
    [FLOOR]: { address: image.kvmclock_rdtsc_lfence.pointer },
    rdtscp: { address: image.kvmclock_rdtscp.pointer },
    rdtsc: { address: image.kvmclock_rdtsc.pointer },
    'vdso-clock-gettime': meter.vdsoClockGettime,
    'syscall-clock-gettime': meter.syscallClockGettime,
  };
  const contenders = Object.entries(callees).map(([name, callee]): Contender => {
    const calls = callee === meter.syscallClockGettime ? Math.ceil(effort.calls / SYSCALL_SHARE) : effort.calls;
    return { name, run: () => meter.timeNs(callee, calls) };
  });
  const spreads = interleaved(contenders, effort.rounds, effort.warmUp, onRound);
  const floor = spreads.get(FLOOR)!.median;
  return [...spreads].map(([name, ns]) => ({ name, ns, toFloor: ns.median / floor }));
}

const READS_THE_RECORD = new Set(['before', 'rfc', 'landed', 'cached', 'relaxed']);

/** Without those that say nothing: where the records are not stable, a reader of them turns back at the flag. */
export function tellingCosts(costs: readonly ReaderCost[], stable: boolean): readonly ReaderCost[] {
  return stable ? costs : costs.filter(({ name }) => !READS_THE_RECORD.has(name));
}

/** The clock's calls and Node's own, from JavaScript. Each stands in a loop of its own, as it would in a program. */
export function benchJavaScript(
  clock: Clock,
  effort: Effort,
  onRound?: (done: number, of: number) => void,
): JavaScriptCost[] {
  const { calls } = effort;
  const hoisted = process.hrtime.bigint;
  const { now, nowNs, nowRelaxedNs } = clock;
  let kept: unknown; // what the loops read goes here, so that no call can be dropped
  const timed = (name: string, loop: () => unknown): Contender => ({
    name,
    run: () => {
      const start = hoisted();
      kept = loop();
      return Number(hoisted() - start) / calls;
    },
  });
  const contenders = [
    timed('now', () => {
      let last = 0n;
      for (let i = 0; i < calls; i++) last = now();
      return last;
    }),
    timed('nowNs', () => {
      let last = 0;
      for (let i = 0; i < calls; i++) last = nowNs();
      return last;
    }),
    timed('nowRelaxedNs', () => {
      let last = 0;
      for (let i = 0; i < calls; i++) last = nowRelaxedNs();
      return last;
    }),
    timed('hrtime.bigint', () => {
      let last = 0n;
      for (let i = 0; i < calls; i++) last = process.hrtime.bigint();
      return last;
    }),
    timed('hrtime.bigint-hoisted', () => {
      let last = 0n;
      for (let i = 0; i < calls; i++) last = hoisted();
      return last;
    }),
    timed('hrtime', () => {
      let last: unknown;
      for (let i = 0; i < calls; i++) last = process.hrtime();
      return last;
    }),
    timed('performance.now', () => {
      let last = 0;
      for (let i = 0; i < calls; i++) last = performance.now();
      return last;
    }),
    timed('Date.now', () => {
      let last = 0;
      for (let i = 0; i < calls; i++) last = Date.now();
      return last;
    }),
  ];
  const spreads = interleaved(contenders, effort.rounds, effort.warmUp, onRound);
  if (kept === undefined) throw new Error('the loops were not run');
  const hrtime = spreads.get('hrtime.bigint')!.median;
  const own = spreads.get('hrtime.bigint-hoisted')!.median;
  return [...spreads].map(([name, ns]) => ({
    name,
    ns,
    toHrtime: ns.median / hrtime,
    toHoisted: ns.median / own,
  }));
}
