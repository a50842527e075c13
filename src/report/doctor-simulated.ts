/** What the doctor finds on the simulated machine: the same looks as on the live one, at a VM of our own. */
import { availableParallelism } from 'node:os';
import { type RecordReport, recordReport } from '../guest/record-report.ts';
import { noCommonHrtime } from '../machine/runtime.ts';
import { SimulatedMachine } from '../machine/simulated/simulated.ts';
import type { Effort } from './bench.ts';
import { benchSimulated } from './bench-simulated.ts';
import { type DriftReport, driftBetween, type Pairing } from './drift.ts';
import type { Findings } from './verdict.ts';

export interface SimulatedFindings extends Pick<Findings, 'readers' | 'warps'> {
  readonly records: readonly RecordReport[];
  readonly drift: readonly DriftReport[];
  /** What was looked at, in words. */
  readonly what: string;
}

const EFFORT: Effort = { rounds: 5, warmUp: 2, calls: 15_000 };
const WARP_SECONDS = 0.8;
/** Most between two updates while readings are compared: many are behind an update, and most are not held up by one. */
const PAUSE_MS = 2;
const MOST_VCPUS = 8;
const TRIES = 50;

/** Starts a VM with a vCPU for each CPU (2 to 8), looks at it, and ends it. Finds nothing where the runtime lets no VM be simulated. */
export async function lookAtSimulated(show: (doing: string) => void): Promise<SimulatedFindings> {
  const why = noCommonHrtime();
  if (why !== undefined) return { what: `nothing: ${why}`, records: [], readers: [], warps: undefined, drift: [] };
  show('starting a simulated VM');
  const vcpus = Math.min(Math.max(availableParallelism(), 2), MOST_VCPUS);
  await using machine = await SimulatedMachine.start({ vcpus });
  const first = pairing(machine);
  show('timing the readers');
  const readers = await benchSimulated(machine, EFFORT);
  show('reading on all vCPUs at once');
  const order = { readers: ['landed'], update: 'refresh', seconds: WARP_SECONDS, pauseMs: PAUSE_MS } as const;
  const { reads, warps, worstWarpNs, stalls } = (await machine.stress(order)).readers[0]!;
  return {
    what: `a simulated VM: ${vcpus} vCPUs as threads of this process, their TSC counted from process.hrtime`,
    records: recordReports(machine),
    readers,
    warps: { reads, warps, worstNs: worstWarpNs, stalls },
    drift: [driftBetween(first, pairing(machine))],
  };
}

function recordReports(machine: SimulatedMachine): RecordReport[] {
  const record0 = machine.record(0);
  return Array.from({ length: machine.vm.vcpus }, (_, vcpu) => {
    const record = vcpu === 0 ? record0 : machine.record(vcpu);
    return recordReport(vcpu, record, record0, machine.tsc());
  });
}

/** The narrowest of several readings of hrtime between two of the VM's clock. */
function pairing(machine: SimulatedMachine): Pairing {
  let best: Pairing | undefined;
  for (let i = 0; i < TRIES; i++) {
    const before = machine.now();
    const kernelNs = process.hrtime.bigint();
    const widthNs = machine.now() - before;
    if (best !== undefined && widthNs >= best.widthNs) continue;
    best = { against: 'process.hrtime', clockNs: before + widthNs / 2n, kernelNs, widthNs };
  }
  return best!;
}
