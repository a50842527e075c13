/** The steps as lanes: one for the host, one for each vCPU's guest code; a row a step, in the threads' own words. */
import { isTelling } from '../../src/checker/explain.ts';
import type { Action } from '../../src/checker/recorder.ts';
import type { Step } from '../../src/checker/trace.ts';
import { byId, element } from '../dom.ts';

const HOST = 'the host';

/** `onStep`: a step was picked. Returns what marks the step that is shown. */
export function drawLanes(
  steps: readonly Step[],
  all: boolean,
  onStep: (index: number) => void,
): (index: number) => void {
  const vcpus = steps[0]?.records.length ?? 0;
  const lanes = [HOST, ...Array.from({ length: vcpus }, (_, vcpu) => `vCPU ${vcpu}`)];
  const heading = ['step', ...lanes].map((name) => element('th', { scope: 'col' }, name));
  const rows = steps.map((step, index) => {
    const pick = element('button', { type: 'button', 'aria-label': `step ${index + 1}` }, String(index + 1));
    pick.addEventListener('click', () => onStep(index));
    const cells = lanes.map((lane) => cellOf(lane, step, all));
    return element('tr', { role: 'row' }, element('th', { scope: 'row', role: 'rowheader' }, pick), ...cells);
  });
  byId('race-lanes').replaceChildren(
    element('thead', {}, element('tr', {}, ...heading)),
    element('tbody', {}, ...rows),
  );
  const box = byId('race-lanes-box');
  return (index) => {
    rows.forEach((row, place) => {
      if (place === index) row.setAttribute('aria-current', 'step');
      else row.removeAttribute('aria-current');
      row.classList.toggle('ahead', place > index);
    });
    const row = rows[index];
    if (row === undefined) return;
    const top = row.offsetTop - box.clientHeight / 2; // the box alone is scrolled, not the page
    box.scrollTop = Math.max(0, top);
  };
}

function cellOf(lane: string, { actions }: Step, all: boolean): HTMLElement {
  const cell = element('td', { role: 'cell', 'data-lane': lane });
  const own = actions.filter((action) => laneOf(action) === lane);
  const first = actions[0];
  const told = own.filter((action) => all || action === first || isTelling(action));
  let who = '';
  for (const action of told) {
    const subject = lane === HOST && action.who !== who ? `${action.who} ` : '';
    who = action.who;
    cell.append(element('div', {}, `${subject}${action.what}`));
  }
  const hidden = own.length - told.length;
  if (hidden > 0) cell.append(element('div', { class: 'quiet' }, `and ${hidden} more that no other thread can see`));
  return cell;
}

/** A vCPU's lane has what its guest does, and when it comes and goes. */
function laneOf({ actor, vcpu, what }: Action): string {
  if (actor.kind === 'guest') return `vCPU ${vcpu}`;
  if (actor.kind === 'host' && /^(enters|leaves) the guest/.test(what)) return `vCPU ${actor.vcpu}`;
  return HOST;
}
