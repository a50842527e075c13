/** The view *This machine*: what the server sees of this machine's clock, as it sees it. */
import type { Hello, Sample, SeenCosts, SeenOrder } from '../../src/guest/observed.ts';
import type { RecordReport } from '../../src/guest/record-report.ts';
import { formatAge, formatNs } from '../../src/scale/duration.ts';
import { byId, setText } from '../dom.ts';
import { changesList } from './changes.ts';
import { costBars } from './costs.ts';
import { listenTo } from './events.ts';
import { OffsetPlot } from './offset.ts';
import { recordsTable } from './records.ts';
import { timesPlot } from './times.ts';

let started = false;

export function startMachine(): void {
  if (started) return;
  started = true;
  const status = byId('machine-status');
  const live = byId('machine-live');
  const records = recordsTable();
  const offset = new OffsetPlot();
  const bars = costBars();
  const times = timesPlot();
  const list = changesList();

  const onCosts = (costs: SeenCosts): void => {
    bars(costs);
    times(costs.readTimes);
  };
  const onSample = (sample: Sample): void => {
    const reports = records.at(BigInt(sample.tsc));
    setText(status, inWords(reports));
    status.classList.toggle(
      'bad',
      reports.some(({ stable }) => !stable),
    );
    const ns = Number(sample.clockNs);
    setText(byId('fact-clock'), `${(ns / 1e9).toFixed(3)} s (${formatAge(ns)})`);
    offset.add(sample);
  };
  const onHello = (hello: Hello): void => {
    if (hello.machine !== 'live') {
      live.hidden = true;
      setText(status, `There is no record to be read here: ${hello.why}.`);
      return;
    }
    records.set(hello.records);
    list.begin(hello.changes);
    offset.mark(list.changes);
    offset.begin(hello.samples);
    if (hello.costs !== null) onCosts(hello.costs);
    if (hello.order !== null) onOrder(hello.order);
    setText(byId('fact-where'), `${hello.why}, by kvmclock ${hello.version} on Node ${hello.node}`);
    setText(byId('fact-clocksource'), hello.clocksource ?? 'unknown');
    live.removeAttribute('data-waiting');
  };
  listenTo(
    'events',
    {
      hello: onHello,
      sample: onSample,
      records: records.set,
      change: list.add,
      costs: onCosts,
      order: onOrder,
    },
    (state) => {
      if (state === 'lost') setText(status, 'The connection to the server is lost; trying again.');
    },
  );
}

function onOrder({ reads, warps, worstNs }: SeenOrder): void {
  const worst = warps === 0 ? '' : `, ${formatNs(worstNs)} at worst`;
  const fact = byId('fact-order');
  setText(fact, `${warps.toLocaleString()} times in ${reads.toLocaleString()} readings${worst}`);
  fact.classList.toggle('bad', warps > 0);
}

/** What does not change from one sample to the next: it is read out when it does. */
function inWords(reports: readonly RecordReport[]): string {
  const unstable = reports.filter(({ stable }) => !stable).map(({ vcpu }) => vcpu);
  if (unstable.length > 0) return `NOT STABLE, says the record of vCPU ${unstable.join(', ')}.`;
  return `Stable, say the records of all ${reports.length} vCPUs.`;
}
