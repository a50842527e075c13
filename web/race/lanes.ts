/** The steps as lanes: one for the host, one for each vCPU's guest code; a row a step, in the threads' own words. */
import { isTelling } from '../../src/checker/explain.ts';
import { KIND } from '../../src/checker/operations.ts';
import type { Action } from '../../src/checker/recorder.ts';
import type { RecordWord, Step } from '../../src/checker/trace.ts';
import { byId, element } from '../dom.ts';
import { updateClass } from './state.ts';

const HOST = 'the host';
/** A word of a record that an update stamps; flags and shift are one. */
const WORD = /record (\d+) (tscTimestamp|systemTime|tscToSystemMul|tscShift|flags)\b/;

/** `buffered`: stores wait before they reach memory. `onStep`: a step was picked. Returns what marks the step that is shown. */
export function drawLanes(
  steps: readonly Step[],
  all: boolean,
  buffered: boolean,
  onStep: (index: number) => void,
): (index: number) => void {
  const vcpus = steps[0]?.records.length ?? 0;
  const lanes = [HOST, ...Array.from({ length: vcpus }, (_, vcpu) => `vCPU ${vcpu}`)];
  const heading = ['step', ...lanes].map((name) => element('th', { scope: 'col' }, name));
  const picks: HTMLButtonElement[] = [];
  const rows = steps.map((step, index) => {
    const label = `step ${index + 1}`;
    const pick = element('button', { type: 'button', 'aria-label': label, tabindex: '-1' }, String(index + 1));
    pick.addEventListener('click', () => onStep(index));
    picks.push(pick);
    const cells = lanes.map((lane) => cellOf(lane, step, all, buffered));
    return element('tr', { role: 'row' }, element('th', { scope: 'row', role: 'rowheader' }, pick), ...cells);
  });
  const body = element('tbody', {}, ...rows);
  body.addEventListener('keydown', (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const next = picks[picks.indexOf(event.target as HTMLButtonElement) + (by ?? 0)];
    if (by === undefined || next === undefined) return;
    event.preventDefault(); // the box is scrolled to the step
    next.click();
    next.focus({ preventScroll: true });
  });
  byId('race-lanes').replaceChildren(element('thead', {}, element('tr', {}, ...heading)), body);
  const box = byId('race-lanes-box');
  return (index) => {
    rows.forEach((row, place) => {
      if (place === index) row.setAttribute('aria-current', 'step');
      else row.removeAttribute('aria-current');
      row.classList.toggle('ahead', place > index);
      picks[place]!.tabIndex = place === index ? 0 : -1; // one stop of the tab key for all of them
    });
    const row = rows[index];
    if (row === undefined) return;
    const top = row.offsetTop - box.clientHeight / 2; // the box alone is scrolled, not the page
    box.scrollTop = Math.max(0, top);
  };
}

function cellOf(lane: string, step: Step, all: boolean, buffered: boolean): HTMLElement {
  const { actions } = step;
  const cell = element('td', { role: 'cell', 'data-lane': lane });
  const own = actions.filter((action) => laneOf(action) === lane);
  const first = actions[0];
  const told = own.filter((action) => all || action === first || isTelling(action));
  let who = '';
  for (const action of told) {
    const subject =
      lane === HOST && action.who !== who ? action.who + (action.actor.kind === 'buffer' ? ': ' : ' ') : '';
    who = action.who;
    cell.append(element('div', {}, subject, inColour(action, step, buffered)));
  }
  const hidden = own.length - told.length;
  if (hidden > 0) cell.append(element('div', { class: 'quiet' }, `and ${hidden} more that no other thread can see`));
  return cell;
}

/** What was done; where it found, or put into memory, a word of a record: in the colour of the word's update, and saying so. */
function inColour(action: Action, step: Step, buffered: boolean): Node | string {
  const update = updateOf(action, step, buffered);
  if (update === undefined) return action.what;
  const said = element('span', { class: 'unseen' }, `, of update ${update}`);
  return element('span', { class: updateClass(update) }, action.what, said);
}

function updateOf({ operation, answer, cell, what }: Action, { actions, records }: Step, buffered: boolean) {
  const [, record, word] = WORD.exec(what) ?? [];
  if (word === undefined) return undefined;
  if (operation?.kind === KIND.load) return answer?.stamp;
  const reaches = (action: Action) => action.operation === undefined && action.what.startsWith(`${cell} = `);
  const inMemory = operation === undefined || !buffered || actions.some(reaches);
  return inMemory ? records[Number(record)]?.stamps[word === 'flags' ? 'tscShift' : (word as RecordWord)] : undefined;
}

/** A vCPU's lane has what its guest does, and when it comes and goes. */
function laneOf({ actor, vcpu, what }: Action): string {
  if (actor.kind === 'guest') return `vCPU ${vcpu}`;
  if (actor.kind === 'host' && /^(enters|leaves) the guest/.test(what)) return `vCPU ${actor.vcpu}`;
  return HOST;
}
