/** `kvmclock doctor`: looks at the clock of the machine that it runs on, measures it, and says whether it is sound. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT, type Pvti } from '../abi/pvti.ts';
import { lineAt } from '../guest/sequence.ts';
import { allowedCpus } from '../machine/affinity.ts';
import { openClock } from '../machine/clock.ts';
import { type LiveMachine, openLive } from '../machine/live.ts';
import { openMeter, type WarpCount } from '../machine/measure.ts';
import { isUnavailable } from '../machine/sys.ts';
import { countWarps } from '../machine/warps.ts';
import { tscKhz } from '../scale/time-scale.ts';
import { benchJavaScript, benchReaders, type Effort, type JavaScriptCost } from './bench.ts';
import { beginDrift } from './drift.ts';
import { type Findings, judge, type RecordFinding, type Verdict } from './verdict.ts';

export interface RecordReport extends Pvti, RecordFinding {
  readonly tscKhz: number | undefined;
  /** How long ago the hypervisor took this record's base, in ns. */
  readonly ageNs: number;
}

export interface DoctorReport extends Findings {
  readonly records: readonly RecordReport[];
  readonly javascript: readonly JavaScriptCost[];
  readonly verdict: Verdict;
  readonly faults: readonly string[];
  readonly advice: readonly string[];
  readonly node: string;
  readonly cpus: number;
  /** The clock's reading and the kernel's uptime: apart where the VM was restored, or the clock was set. */
  readonly clockNs: bigint | undefined;
  readonly uptimeNs: number | undefined;
}

const READER_EFFORT: Effort = { rounds: 9, warmUp: 1, calls: 40_000 };
const JAVASCRIPT_EFFORT: Effort = { rounds: 7, warmUp: 2, calls: 60_000 };
const WARP_READS = 10_000_000;
const BRACKET_READINGS = 500_000;
/** Drift is taken over the whole run, and over this at least. */
const DRIFT_AT_LEAST_MS = 1500;
const CLOCKSOURCE = '/sys/devices/system/clocksource/clocksource0';

/** `show` is told what is going on, for a person who waits. */
export async function examine(show: (doing: string) => void = () => {}): Promise<DoctorReport> {
  const live = openLive();
  if (isUnavailable(live)) return withoutRecord(live.unavailable, show);
  return examineLive(live, show);
}

async function examineLive(live: LiveMachine, show: (doing: string) => void): Promise<DoctorReport> {
  const { image, address } = live;
  const started = performance.now();
  const endDrift = beginDrift(image.kvmclock_now, live.sys);
  const records = recordReports(live);
  const stable = records.every((record) => record.stable);

  show('timing the readers');
  const costs = benchReaders(live, READER_EFFORT);
  const readers = stable ? costs : costs.filter(({ name }) => !READS_THE_RECORD.has(name));
  show("timing JavaScript's clocks");
  const javascript = benchJavaScript(openClock(), JAVASCRIPT_EFFORT);
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
  const findings: Findings = {
    machine: 'live',
    why: `this guest's record: ${live.where}`,
    records,
    clocksource: clocksource(),
    readers,
    warps,
    brackets,
    drift: endDrift(),
  };
  return { ...findings, records, javascript, ...judge(findings), ...surroundings(), clockNs: image.kvmclock_now() };
}

const READS_THE_RECORD = new Set(['before', 'rfc', 'landed', 'cached', 'relaxed']);

function recordReports(live: LiveMachine): RecordReport[] {
  const first = live.record(0);
  return live.vcpus().map((vcpu) => {
    const record = vcpu === 0 ? first : live.record(vcpu);
    const tsc = live.image.kvmclock_rdtsc_ordered();
    const at = (p: Pvti) => lineAt(tsc, p.tscTimestamp, p.systemTime, p.tscToSystemMul, p.tscShift);
    return {
      vcpu,
      ...record,
      stable: (record.flags & PVCLOCK_TSC_STABLE_BIT) !== 0,
      paused: (record.flags & PVCLOCK_GUEST_STOPPED) !== 0,
      apartNs: Number(BigInt.asIntN(64, at(record) - at(first))),
      tscKhz: tscKhz(record.tscToSystemMul, record.tscShift),
      ageNs: Number(at(record) - record.systemTime),
    };
  });
}

/** No record here: what Node's own clocks cost, and what would help. */
function withoutRecord(why: string, show: (doing: string) => void): DoctorReport {
  show("timing JavaScript's clocks");
  const noFfi = process.platform === 'linux' && process.getBuiltinModule?.('node:ffi') === undefined;
  const findings: Findings = {
    machine: 'simulated',
    why,
    records: [],
    clocksource: clocksource(),
    readers: [],
    warps: undefined,
    brackets: undefined,
    drift: [],
    ...(noFfi
      ? { runtimeAdvice: 'Run it on a Node that has node:ffi: npx -y -p node@26 -p kvmclock kvmclock doctor' }
      : {}),
  };
  const javascript = benchJavaScript(openClock(), JAVASCRIPT_EFFORT);
  return { ...findings, records: [], javascript, ...judge(findings), ...surroundings(), clockNs: undefined };
}

function surroundings(): Pick<DoctorReport, 'node' | 'cpus' | 'uptimeNs'> {
  const uptime = firstLine('/proc/uptime')?.split(' ')[0];
  return {
    node: process.version,
    cpus: availableParallelism(),
    uptimeNs: uptime === undefined ? undefined : Number(uptime) * 1e9,
  };
}

function clocksource(): Findings['clocksource'] {
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
