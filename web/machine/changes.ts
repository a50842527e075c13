/** The changes of the record that were seen, the latest first. */
import type { SeenChange } from '../../src/guest/observed.ts';
import { formatNs } from '../../src/scale/duration.ts';
import { byId, element } from '../dom.ts';
import { timeOfDay } from './time-of-day.ts';

const MOST = 200;

export interface ChangesList {
  /** What is listed, oldest first. */
  readonly changes: readonly SeenChange[];
  begin(changes: readonly SeenChange[]): void;
  add(change: SeenChange): void;
}

export function changesList(): ChangesList {
  const list = byId('changes');
  const none = byId('changes-none');
  const changes: SeenChange[] = [];
  const add = (change: SeenChange): void => {
    changes.push(change);
    list.prepend(item(change));
    if (changes.length > MOST) {
      changes.shift();
      list.lastElementChild!.remove();
    }
    none.hidden = true;
  };
  return {
    changes,
    begin(given) {
      changes.length = 0;
      list.replaceChildren();
      none.hidden = false;
      given.forEach(add);
    },
    add,
  };
}

function item({ atMs, vcpu, kind, fromVersion, toVersion, jumpNs }: SeenChange): HTMLElement {
  const jump = jumpText(jumpNs);
  return element(
    'li',
    {},
    element('time', { datetime: new Date(atMs).toISOString() }, timeOfDay(atMs)),
    ' ',
    element('span', { class: 'mark' }, kind),
    ` of vCPU ${vcpu}'s record: version ${fromVersion} to ${toVersion}, ${jump}`,
  );
}

/** `jumpNs`: 0 where the new record goes on on the old one's line. */
function jumpText(jumpNs: number | null): string {
  if (jumpNs === null) return 'its jump cannot be told';
  return jumpNs === 0 ? 'the clock did not jump' : `the clock moved by ${formatNs(jumpNs)}`;
}
