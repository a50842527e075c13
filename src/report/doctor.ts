/** `kvmclock doctor`: looks at the clock of the machine that it runs on, measures it, and says whether it is sound. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type RecordReport, recordReport } from '../guest/record-report.ts';
import { allowedCpus } from '../machine/affinity.ts';
import { openClock } from '../machine/clock.ts';
import { type LiveMachine, openLive } from '../machine/live.ts';
import { openMeter, type WarpCount } from '../machine/measure.ts';
import { FFI_FLAG, ffiIsOff } from '../machine/runtime.ts';
import { isUnavailable } from '../machine/sys.ts';
import { countWarps } from '../machine/warps.ts';
import { benchJavaScript, benchReaders, type Effort, type JavaScriptCost, tellingCosts } from './bench.ts';
import { lookAtSimulated } from './doctor-simulated.ts';
import { beginDrift, type DriftReport } from './drift.ts';
import { lookAtNeighbours, type Neighbours } from './neighbours.ts';
import { type Findings, judge, type Verdict } from './verdict.ts';

export interface DoctorReport extends Findings {
  readonly records: readonly RecordReport[];
  readonly drift: readonly DriftReport[];
  readonly javascript: readonly JavaScriptCost[];
  readonly verdict: Verdict;
  readonly faults: readonly string[];
  readonly advice: readonly string[];
  readonly node: string;
  readonly cpus: number;
  /** The clock's reading and the kernel's uptime: apart where the VM was restored, or the clock was set. */
  readonly clockNs: bigint | undefined;
  readonly uptimeNs: number | undefined;
  /** This machine's other paravirtual clocks; undefined where a simulated VM was asked for. */
  readonly neighbours: Neighbours | undefined;
}

const READER_EFFORT: Effort = { rounds: 9, warmUp: 1, calls: 40_000 };
const JAVASCRIPT_EFFORT: Effort = { rounds: 7, warmUp: 2, calls: 60_000 };
const WARP_READS = 10_000_000;
const BRACKET_READINGS = 500_000;
/** Drift is taken over the whole run, and over this at least. */
const DRIFT_AT_LEAST_MS = 1500;
const CLOCKSOURCE = '/sys/devices/system/clocksource/clocksource0';

/**
 * Examines this machine's own clock where it has one, else a simulated VM that stands in for it; or, asked for `simulated`, that
 * VM for its own sake. `show` is told what is going on, for a person who waits.
 */
export async function examine(
  show: (doing: string) => void = () => {},
  machine: Findings['machine'] = 'live',
): Promise<DoctorReport> {
  if (machine === 'simulated') return await examineSimulated(undefined, show);
  const live = openLive();
  return isUnavailable(live) ? await examineSimulated(live.unavailable, show) : await examineLive(live, show);
}

async function examineLive(live: LiveMachine, show: (doing: string) => void): Promise<DoctorReport> {
  const { image, address } = live;
  const started = performance.now();
  const endDrift = beginDrift(image.kvmclock_now, live.sys);
  const records = recordReports(live);
  const stable = records.every((record) => record.stable);

  show('timing the readers');
  const readers = tellingCosts(benchReaders(live, READER_EFFORT), stable);
  show("timing JavaScript's clocks");
  const clock = openClock();
  const javascript = benchJavaScript(clock, JAVASCRIPT_EFFORT);
  let warps: WarpCount | undefined;
  let brackets: Findings['brackets'];
  if (stable) {
    show('reading on all vCPUs at once');
    warps = await countWarps(allowedCpus(live.sys), WARP_READS);
    show('bracketing readings');
    const landed = image.kvmclock_read_landed.pointer;
    const outside = openMeter(live).outsideBracket({ address: landed, first: address }, landed, BRACKET_READINGS);
    brackets = { readings: BRACKET_READINGS, ...outside };
  }
  show('comparing with the kernel');
  const rest = DRIFT_AT_LEAST_MS - (performance.now() - started);
  if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
  const findings = {
    machine: 'live' as const,
    why: `this guest's record: ${live.where}`,
    standIn: undefined,
    records,
    clocksource: clocksource(),
    readers,
    warps,
    brackets,
    drift: endDrift(),
  } satisfies Findings;
  const neighbours = lookAtNeighbours(clock.realtime);
  return { ...findings, javascript, ...judge(findings), ...surroundings(), clockNs: image.kvmclock_now(), neighbours };
}

function recordReports(live: LiveMachine): RecordReport[] {
  const first = live.record(0);
  return live.vcpus().map((vcpu) => {
    const record = vcpu === 0 ? first : live.record(vcpu);
    return recordReport(vcpu, record, first, live.image.kvmclock_rdtsc_ordered());
  });
}

/** `noRecord`: why there is no clock of this machine's own to be judged, so that the VM stands in for it. */
async function examineSimulated(noRecord: string | undefined, show: (doing: string) => void): Promise<DoctorReport> {
  const { what, ...seen } = await lookAtSimulated(show);
  show("timing JavaScript's clocks");
  const clock = openClock();
  const javascript = benchJavaScript(clock, JAVASCRIPT_EFFORT);
  const standsIn = noRecord !== undefined;
  const noFfi = standsIn && process.platform === 'linux' && process.getBuiltinModule?.('node:ffi') === undefined;
  const findings = {
    machine: 'simulated' as const,
    why: noRecord ?? what,
    standIn: standsIn ? what : undefined,
    ...seen,
    clocksource: clocksource(),
    brackets: undefined,
    ...(noFfi ? { runtimeAdvice: howToHaveFfi() } : {}),
  } satisfies Findings;
  const neighbours = standsIn ? lookAtNeighbours(clock.realtime) : undefined;
  return { ...findings, javascript, ...judge(findings), ...surroundings(), clockNs: undefined, neighbours };
}

function howToHaveFfi(): string {
  if (ffiIsOff()) return `Give Node the flag: NODE_OPTIONS=${FFI_FLAG} kvmclock doctor`;
  return 'Run it on a Node that has node:ffi: npx -y -p node@26 -p kvmclock kvmclock doctor';
}

function surroundings(): Pick<DoctorReport, 'node' | 'cpus' | 'uptimeNs'> {
  const uptime = firstLine('/proc/uptime')?.split(' ')[0];
  return {
    node: process.version,
    cpus: availableParallelism(),
    uptimeNs: uptime === undefined ? undefined : Number(uptime) * 1e9,
  };
}

export function clocksource(): Findings['clocksource'] {
  const current = firstLine(`${CLOCKSOURCE}/current_clocksource`);
  const available = firstLine(`${CLOCKSOURCE}/available_clocksource`);
  return current === undefined ? undefined : { current, available: available?.trim().split(/\s+/) ?? [] };
}

function firstLine(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').split('\n')[0];
  } catch {
    return undefined;
  }
}
