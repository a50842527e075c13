/** From what was found to a verdict and advice, in a user's words. Nothing is measured here. */
import type { WarpCount } from '../machine/measure.ts';
import { formatNs } from '../scale/duration.ts';
import type { ReaderCost } from './bench.ts';
import type { Drift } from './drift.ts';

export type Verdict = 'sound' | 'unsound' | 'unknown';

export interface RecordFinding {
  readonly vcpu: number;
  readonly stable: boolean;
  readonly paused: boolean;
  /** This record's line less record 0's, at one TSC, in ns; only meaningful while both are stable. */
  readonly apartNs: number;
}

export interface Findings {
  readonly machine: 'live' | 'simulated';
  readonly why: string;
  /** The simulated VM that is shown because this machine has no record to be read: it says nothing of this machine's clock. */
  readonly standIn: string | undefined;
  readonly records: readonly RecordFinding[];
  readonly clocksource: { readonly current: string; readonly available: readonly string[] } | undefined;
  readonly readers: readonly ReaderCost[];
  readonly warps: WarpCount | undefined;
  readonly brackets: { readonly readings: number; readonly outside: number; readonly worstNs: number } | undefined;
  readonly drift: readonly Drift[];
  /** Which runtime could do better, where this one cannot read the record. */
  readonly runtimeAdvice?: string;
}

/** Records of one stable clock differ by rounding alone. */
const APART_LIMIT_NS = 1000;
/** Clocks that count the same TSC, or what a simulated one is counted from: beyond the limit, one of the two has the wrong rate. */
const SAME_RATE: readonly string[] = ['CLOCK_MONOTONIC_RAW', 'process.hrtime'];
const DRIFT_LIMIT_PPM = 100;
/** The clocks that the kernel's vDSO can read without a system call. */
const VDSO_CLOCKSOURCES: Readonly<Record<string, string>> = {
  tsc: 'the vDSO reads the bare TSC',
  'kvm-clock': 'the vDSO reads record 0, as `landed` does',
  hyperv_clocksource_tsc_page: "the vDSO reads Hyper-V's TSC page",
};

/** What the current clocksource means for a program's clock_gettime. */
export function clocksourceMeaning(current: string): string {
  const how = VDSO_CLOCKSOURCES[current];
  return how ?? 'every clock_gettime is a system call: the vDSO cannot read it';
}

/** Every reason why the clock is not sound; none where it is. */
export function faults(findings: Findings): string[] {
  const { records, warps, brackets, drift } = findings;
  const list: string[] = [];
  const unstable = records.filter((record) => !record.stable).map((record) => record.vcpu);
  if (unstable.length > 0) {
    list.push(`the hypervisor says that the clock is not stable (vCPU ${unstable.join(', ')})`);
  }
  const apart = Math.max(0, ...records.filter((r) => r.stable).map((r) => Math.abs(r.apartNs)));
  if (apart > APART_LIMIT_NS) list.push(`records that say they are stable stand ${formatNs(apart)} apart`);
  if (warps !== undefined && warps.warps > 0) {
    list.push(
      `time went back between vCPUs in ${warps.warps} of ${warps.reads} readings, by ${formatNs(warps.worstNs)} at worst`,
    );
  }
  if (brackets !== undefined && brackets.outside > 0) {
    list.push(
      `${brackets.outside} of ${brackets.readings} readings lay outside the readings around them, by ${formatNs(brackets.worstNs)} at worst`,
    );
  }
  for (const { against, ppm, uncertaintyPpm } of drift) {
    if (SAME_RATE.includes(against) && Math.abs(ppm) - uncertaintyPpm > DRIFT_LIMIT_PPM) {
      list.push(`the clock drifts by ${ppm.toFixed(0)} ppm against ${against}`);
    }
  }
  return list;
}

export function judge(findings: Findings): { verdict: Verdict; faults: string[]; advice: string[] } {
  const list = faults(findings);
  const verdict = findings.standIn !== undefined ? 'unknown' : list.length > 0 ? 'unsound' : 'sound';
  return { verdict, faults: list, advice: [...adviceOf(findings)] };
}

function* adviceOf(findings: Findings): Generator<string> {
  const { machine, records, clocksource, warps, readers, runtimeAdvice } = findings;
  if (runtimeAdvice !== undefined) yield runtimeAdvice;
  if (records.some((record) => !record.stable)) {
    yield 'Not stable means that programs pay for a system call at every reading. On the host: its clocksource must be tsc, and all vCPUs must have one TSC offset; after a restore, restore the TSCs before the vCPUs run.';
  }
  if (warps !== undefined && warps.warps > 0) {
    yield 'Time that goes back between vCPUs breaks locks with deadlines, tracing and databases. Until the host is mended, pin what compares times to one vCPU.';
  }
  if (records.some((record) => record.paused)) {
    yield 'A vCPU carries the note that the hypervisor stopped it and its kernel has not read it yet: the VM was paused or restored, or kvm-clock is not what its kernel reads.';
  }
  if (clocksource !== undefined && VDSO_CLOCKSOURCES[clocksource.current] === undefined) {
    const fast = clocksource.available.filter((name) => VDSO_CLOCKSOURCES[name] !== undefined);
    yield fast.length > 0
      ? `The clocksource ${clocksource.current} costs a system call a reading; ${fast.join(' or ')} is available (/sys/devices/system/clocksource/clocksource0/current_clocksource).`
      : `The clocksource ${clocksource.current} costs a system call a reading, and no faster one is available: give the VM a constant TSC.`;
  }
  const landed = readers.find(({ name }) => name === 'landed');
  const vdso = readers.find(({ name }) => name === 'vdso-clock-gettime');
  if (machine === 'live' && landed !== undefined && vdso !== undefined && faults(findings).length === 0) {
    yield `Programs can read this clock themselves in ${formatNs(landed.ns.median)} (the vDSO takes ${formatNs(vdso.ns.median)}): openClock() in Node, kvmclock.so elsewhere.`;
  }
}
