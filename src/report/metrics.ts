/**
 * What a collector is told of this machine's clock, as Prometheus wants it: base units, one name a quantity, a count since
 * the process began as a counter. `kvmclock serve` answers with it at /metrics, `kvmclock doctor --textfile` writes it.
 */
import type { ChangeKind } from '../guest/change.ts';
import type { RecordReport } from '../guest/record-report.ts';
import type { WarpCount } from '../machine/measure.ts';
import { tscHz } from '../scale/time-scale.ts';
import type { ReaderCost } from './bench.ts';
import type { DriftReport } from './drift.ts';
import { Counter, Gauge, Registry } from './prometheus.ts';

export interface Measured {
  /** Of this package. */
  readonly version: string;
  /** Whether there is a record to be read. */
  readonly found: boolean;
  readonly records: readonly RecordReport[];
  /** How often the records were rewritten, by kind; undefined where nobody watched. */
  readonly changes: Readonly<Record<ChangeKind, number>> | undefined;
  readonly drift: readonly DriftReport[];
  readonly offsets: readonly { readonly against: string; readonly offsetNs: number }[];
  readonly readers: readonly ReaderCost[];
  readonly warps: WarpCount | undefined;
}

type Labels = Readonly<Record<string, string | number>>;
type Value = readonly [labels: Labels, value: number];

const NS_PER_SECOND = 1e9;
const MILLION = 1e6;

/** The media type of what `metricsText` gives. */
export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** Every metric and its values, as text. A metric without a value is left out. */
export async function metricsText(measured: Measured): Promise<string> {
  const registry = new Registry();
  const add = (Kind: typeof Gauge | typeof Counter, name: string, help: string, values: readonly Value[]): void => {
    const [first] = values;
    if (first === undefined) return;
    const metric = new Kind({ name, help, labelNames: Object.keys(first[0]), registers: [registry] });
    for (const [labels, value] of values) metric.inc(labels, value);
  };
  const gauge = (name: string, help: string, values: readonly Value[]) => add(Gauge, name, help, values);
  const counter = (name: string, help: string, values: readonly Value[]) => add(Counter, name, help, values);

  const { version, found, records, changes, drift, offsets, readers, warps } = measured;
  gauge('kvmclock_build_info', 'Always 1; what runs, in its labels.', [[{ version, node: process.version }, 1]]);
  gauge('kvmclock_record_found', 'Whether this machine has a pvclock record that can be read.', [[{}, Number(found)]]);

  const ofRecords = (value: (record: RecordReport) => number | undefined): Value[] =>
    records.flatMap((record): Value[] => {
      const number = value(record);
      return number === undefined ? [] : [[{ vcpu: record.vcpu }, number]];
    });
  gauge(
    'kvmclock_record_version',
    'Version of the record: grows by 2 when the hypervisor rewrites it.',
    ofRecords((r) => r.version),
  );
  gauge(
    'kvmclock_record_stable',
    'Whether the hypervisor says that the records of all vCPUs lie on one line.',
    ofRecords((r) => Number(r.stable)),
  );
  gauge(
    'kvmclock_record_age_seconds',
    'Time since the base of the record was taken.',
    ofRecords((r) => r.ageNs / NS_PER_SECOND),
  );
  gauge(
    'kvmclock_record_apart_seconds',
    'Time by this record less time by record 0, at one TSC.',
    ofRecords((r) => r.apartNs / NS_PER_SECOND),
  );
  gauge(
    'kvmclock_vcpu_stopped',
    'Whether the vCPU carries an unread note that the hypervisor stopped it.',
    ofRecords((r) => Number(r.paused)),
  );
  gauge(
    'kvmclock_tsc_frequency_hertz',
    'Frequency of the TSC that the record stands for.',
    ofRecords((r) => tscHz(r.tscToSystemMul, r.tscShift)),
  );
  counter(
    'kvmclock_record_changes_total',
    'Rewrites of a record seen, by what they mean.',
    Object.entries(changes ?? {}).map(([kind, count]) => [{ kind }, count]),
  );
  gauge(
    'kvmclock_offset_seconds',
    "The clock less the kernel's clock.",
    offsets.map(({ against, offsetNs }) => [{ against }, offsetNs / NS_PER_SECOND]),
  );
  gauge(
    'kvmclock_drift_ratio',
    "How much faster the clock runs than the kernel's: 1e-6 is a microsecond a second.",
    drift.map(({ against, ppm }) => [{ against }, ppm / MILLION]),
  );
  gauge(
    'kvmclock_drift_uncertainty_ratio',
    'By how much the drift may be off, either way.',
    drift.map(({ against, uncertaintyPpm }) => [{ against }, uncertaintyPpm / MILLION]),
  );
  gauge(
    'kvmclock_read_cost_seconds',
    'Median time of one call of each reader, in a loop of machine code.',
    readers.map(({ name, ns }) => [{ reader: name }, ns.median / NS_PER_SECOND]),
  );
  if (warps !== undefined) {
    counter('kvmclock_compared_reads_total', 'Readings on all vCPUs at once.', [[{}, warps.reads]]);
    counter('kvmclock_warps_total', 'Readings behind one that another vCPU had seen.', [[{}, warps.warps]]);
    counter('kvmclock_stalls_total', 'Readings equal to one that another vCPU had seen.', [[{}, warps.stalls]]);
    gauge('kvmclock_worst_warp_seconds', 'How far time went back at worst.', [[{}, warps.worstNs / NS_PER_SECOND]]);
  }
  return registry.metrics();
}
