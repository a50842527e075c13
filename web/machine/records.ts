/** The table of records: every field as it stands, and what it comes to at the TSC of the latest sample. */
import type { Pvti } from '../../src/abi/pvti.ts';
import { fromSeen, type SeenRecord } from '../../src/guest/observed.ts';
import { type RecordReport, recordReport } from '../../src/guest/record-report.ts';
import { formatAge } from '../../src/scale/duration.ts';
import { byId, element, setText } from '../dom.ts';

export interface RecordsTable {
  set(records: readonly SeenRecord[]): void;
  /** Shows the records at `tsc`, and says what they come to. */
  at(tsc: bigint): readonly RecordReport[];
}

export function recordsTable(): RecordsTable {
  const body = byId('records');
  let records: readonly (readonly [vcpu: number, record: Pvti])[] = [];
  return {
    set(seen) {
      records = seen.map((record) => [record.vcpu, fromSeen(record)]);
      while (body.children.length > records.length) body.lastElementChild!.remove();
      while (body.children.length < records.length) body.append(emptyRow());
    },
    at(tsc) {
      const first = records[0]?.[1];
      if (first === undefined) return [];
      const reports = records.map(([vcpu, record]) => recordReport(vcpu, record, first, tsc));
      reports.forEach((report, index) => {
        fill(body.children[index]!, report);
      });
      return reports;
    },
  };
}

const CELLS: readonly ((report: RecordReport) => string)[] = [
  ({ vcpu }) => String(vcpu),
  ({ stable }) => (stable ? 'yes' : 'NO'),
  ({ paused }) => (paused ? 'yes, unseen' : 'no'),
  ({ version }) => String(version),
  ({ tscKhz }) => (tscKhz === undefined ? '?' : `${(tscKhz / 1000).toFixed(3)} MHz`),
  ({ ageNs }) => `${formatAge(ageNs)} ago`,
  ({ apartNs }) => `${apartNs} ns`,
  ({ tscTimestamp }) => String(tscTimestamp),
  ({ systemTime }) => String(systemTime),
  ({ tscToSystemMul }) => String(tscToSystemMul),
  ({ tscShift }) => String(tscShift),
  ({ flags }) => String(flags),
];

function emptyRow(): HTMLElement {
  const [, ...others] = CELLS;
  return element('tr', {}, element('th', { scope: 'row' }), ...others.map(() => element('td')));
}

function fill(row: Element, report: RecordReport): void {
  CELLS.forEach((text, index) => {
    setText(row.children[index]!, text(report));
  });
  row.children[1]!.classList.toggle('bad', !report.stable);
}
