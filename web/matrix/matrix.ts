/** The view *The matrix*: readers by hosts, each cell explored here in the page, and each leading to its trace. */
import { LETTERS, mostTelling } from '../../src/checker/explain.ts';
import { MATRIX_UPDATES, matrix } from '../../src/checker/matrix.ts';
import { ALWAYS } from '../../src/checker/properties.ts';
import { type Configuration, HOSTS } from '../../src/checker/scenarios.ts';
import type { ReaderName } from '../../src/guest/readers.ts';
import { byId, element, setText } from '../dom.ts';
import type { TimedVerdict } from '../race/check-worker.ts';
import { offer, offerMemories, offerWriters, READER_NAMES } from '../race/choices.ts';
import { Explorer } from '../race/explorer.ts';
import { messageOf } from '../worker.ts';

const ALL = 'all';

let started = false;

export function startMatrix(): void {
  if (!started) new MatrixView();
  started = true;
}

class MatrixView {
  readonly #reader = offer<ReaderName | typeof ALL>('matrix-reader', [ALL, ...READER_NAMES]);
  readonly #writer = offerWriters('matrix-writer');
  readonly #memory = offerMemories('matrix-memory');
  readonly #start = byId<HTMLButtonElement>('matrix-start');
  readonly #stop = byId<HTMLButtonElement>('matrix-stop');
  readonly #status = byId('matrix-status');
  /** What has been explored since the page was opened, by configuration. */
  readonly #known = new Map<string, TimedVerdict>();
  #explorers: Explorer[] = [];
  #stopped = false;

  constructor() {
    this.#writer.set('today');
    const legend = ALWAYS.map(({ name, says }) =>
      element('li', {}, element('b', {}, LETTERS[name]), ` ${name}: ${says}`),
    );
    byId('matrix-legend').replaceChildren(...legend);
    byId('matrix-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#explore();
    });
    this.#stop.addEventListener('click', () => {
      this.#stopped = true;
      for (const explorer of this.#explorers) explorer.stop();
    });
    this.#draw([]);
  }

  async #explore(): Promise<void> {
    const reader = this.#reader.get();
    const writer = this.#writer.get();
    const wanted = matrix([this.#memory.get()], reader === ALL ? undefined : reader).filter(
      (one) => one.writer === writer,
    );
    const cells = this.#draw(wanted);
    const todo = wanted.filter((configuration) => !this.#known.has(keyOf(configuration)));
    for (const configuration of wanted) this.#fill(cells, configuration);
    const start = performance.now();
    const total = todo.length;
    let done = wanted.length - total;
    this.#stopped = false;
    this.#stop.disabled = false;
    this.#start.disabled = true;
    const work = async (explorer: Explorer): Promise<void> => {
      for (let next = todo.shift(); next !== undefined && !this.#stopped; next = todo.shift()) {
        const verdict = await explorer.explore(next);
        if (verdict === undefined) return;
        this.#known.set(keyOf(next), verdict);
        this.#fill(cells, next);
        setText(this.#status, `Exploring: ${++done} of ${wanted.length} configurations are done.`);
      }
    };
    try {
      this.#explorers = Array.from({ length: Math.min(navigator.hardwareConcurrency, total) }, () => new Explorer());
      await Promise.all(this.#explorers.map(work));
      const seconds = (performance.now() - start) / 1000;
      if (this.#stopped) setText(this.#status, 'Stopped.');
      else
        setText(
          this.#status,
          `All ${wanted.length} configurations explored, ${total} of them now, in ${seconds.toFixed(1)} s.`,
        );
    } catch (error) {
      setText(this.#status, `It cannot be explored: ${messageOf(error)}.`);
    } finally {
      for (const explorer of this.#explorers) explorer.end();
      this.#stop.disabled = true;
      this.#start.disabled = false;
    }
  }

  /** An empty table for these; gives the cell of each. */
  #draw(wanted: readonly Configuration[]): Map<string, HTMLElement> {
    const cells = new Map<string, HTMLElement>();
    const readers = [...new Set(wanted.map(({ reader }) => reader))];
    const rows = (readers.length > 0 ? readers : READER_NAMES).flatMap((reader) =>
      HOSTS.map((host, place) => {
        const attributes: Record<string, string> = place === 0 ? { class: 'first' } : {};
        const row = element(
          'tr',
          attributes,
          element('th', { scope: 'row' }, reader),
          element('th', { scope: 'row' }, host),
        );
        for (const update of MATRIX_UPDATES) {
          const cell = element('td', {}, '\u00a0');
          row.append(cell);
          const configuration = wanted.find(
            (one) => one.reader === reader && one.host === host && one.update === update,
          );
          if (configuration !== undefined) cells.set(keyOf(configuration), cell);
        }
        return row;
      }),
    );
    byId('matrix-cells').replaceChildren(...rows);
    return cells;
  }

  #fill(cells: ReadonlyMap<string, HTMLElement>, configuration: Configuration): void {
    const key = keyOf(configuration);
    const verdict = this.#known.get(key);
    if (verdict === undefined) return;
    const { violated, complete } = verdict;
    const end = complete ? '' : '?';
    const finding = mostTelling(violated);
    const cell = cells.get(key)!;
    if (finding === undefined) {
      cell.replaceChildren(complete ? '-' : end);
      return;
    }
    const letters = violated.map(({ property }) => LETTERS[property]).join('');
    const name = `${violated.map(({ property }) => property).join(', ')}: open the trace of ${finding.property}`;
    cell.replaceChildren(element('a', { href: `#race/${finding.replay}`, 'aria-label': name }, letters + end));
  }
}

function keyOf({ reader, host, writer, update, memory }: Configuration): string {
  return [reader, host, writer, update, memory].join();
}
