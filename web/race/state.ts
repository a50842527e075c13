/** The state behind a step: every vCPU's record, each word in the colour of the update that it comes from, and what waits. */
import { showFlags } from '../../src/checker/narrate.ts';
import type { RecordState, RecordWord, Step } from '../../src/checker/trace.ts';
import { byId, element } from '../dom.ts';
import type { Buffers } from './buffers.ts';

interface Row {
  readonly name: string;
  /** Whose update it has; none: it has no update of its own. */
  readonly word?: RecordWord;
  show(record: RecordState): string;
}

const ROWS: readonly Row[] = [
  { name: 'version', show: ({ version }) => (version % 2 === 1 ? `${version}, being written` : String(version)) },
  { name: 'tscTimestamp', word: 'tscTimestamp', show: ({ tscTimestamp }) => String(tscTimestamp) },
  { name: 'systemTime', word: 'systemTime', show: ({ systemTime }) => `${systemTime} ns` },
  { name: 'tscToSystemMul', word: 'tscToSystemMul', show: ({ tscToSystemMul }) => String(tscToSystemMul) },
  { name: 'tscShift', word: 'tscShift', show: ({ tscShift }) => String(tscShift) },
  { name: 'flags', word: 'tscShift', show: ({ flags }) => showFlags(flags) },
];

/** Colours there are; a fifth update takes the first one's again. */
const COLOURS = 4;

/** The class of what comes from this update. */
export function updateClass(update: number): string {
  return `update update-${update % COLOURS}`;
}

export function showState(step: Step, before: Step | undefined, buffers: Buffers): void {
  const heading = step.records.map(({ vcpu }) => element('th', { scope: 'col' }, `record ${vcpu}`));
  const rows = ROWS.map((row) => {
    const cells = step.records.map((record, index) => cellOf(row, record, before?.records[index]));
    return element('tr', {}, element('th', { scope: 'row' }, row.name), ...cells);
  });
  const told = step.told.map((update) =>
    element('td', {}, update === undefined ? 'out of the guest' : `in the guest, told of update ${update}`),
  );
  const last = element('tr', {}, element('th', { scope: 'row' }, 'its vCPU is'), ...told);
  byId('race-records').replaceChildren(
    element('thead', {}, element('tr', {}, element('th', { scope: 'col' }, 'word'), ...heading)),
    element('tbody', {}, ...rows, last),
  );
  const items = [...buffers].map(([name, stores]) =>
    element('li', {}, `${name}: ${stores.length === 0 ? 'nothing' : stores.join(', then ')}`),
  );
  byId('race-buffers').replaceChildren(...items);
}

function cellOf({ word, show }: Row, record: RecordState, before: RecordState | undefined): HTMLElement {
  const text = show(record);
  if (word === undefined) return element('td', {}, text);
  const update = record.stamps[word];
  const cell = element('td', { class: updateClass(update) }, text);
  cell.append(element('span', { class: 'unseen' }, `, of update ${update}`));
  if (before !== undefined && (show(before) !== text || before.stamps[word] !== update)) cell.classList.add('new');
  return cell;
}
