/** The source of a reader as it is shipped, with the line that runs marked. */
import type { Place } from '../../src/checker/retrace.ts';
import { byId, element, setText } from '../dom.ts';

const texts = new Map<string, Promise<string[]>>();

function linesOf(file: string): Promise<string[]> {
  let lines = texts.get(file);
  if (lines === undefined) {
    lines = fetch(`source/guest/${file}.txt`).then(async (answer) =>
      answer.ok ? (await answer.text()).split('\n') : [],
    );
    texts.set(file, lines);
  }
  return lines;
}

let shown = '';
/** Steps may follow each other faster than their sources come. */
let latest: readonly Place[] | undefined;

/** Marks the innermost line in its file and the reader's own; `places` empty: the file with no line marked. */
export async function showSource(reader: string, places: readonly Place[]): Promise<void> {
  latest = places;
  const file = places.at(-1)?.file ?? `${reader}.ts`;
  const list = byId('race-source');
  const lines = await linesOf(file);
  if (latest !== places) return;
  if (shown !== file) {
    shown = file;
    setText(byId('race-source-title'), `src/guest/${file}`);
    list.replaceChildren(...lines.map((line) => element('li', {}, element('code', {}, line === '' ? ' ' : line))));
  }
  const at = places.at(-1)?.line;
  [...list.children].forEach((item, index) => {
    if (index + 1 === at) item.setAttribute('aria-current', 'true');
    else item.removeAttribute('aria-current');
  });
  const current = at === undefined ? undefined : (list.children[at - 1] as HTMLElement | undefined);
  const box = byId('race-source-box');
  if (current !== undefined) box.scrollTop = Math.max(0, current.offsetTop - box.clientHeight / 2);
  await showInner(places);
}

/** Where a reader calls a function of another file, that line too. */
async function showInner(places: readonly Place[]): Promise<void> {
  const [inner] = places;
  const target = byId('race-source-inner');
  if (inner === undefined || places.length < 2) return setText(target, '\u00a0');
  const line = (await linesOf(inner.file))[inner.line - 1];
  if (latest !== places) return;
  setText(target, `${inner.file}:${inner.line}  ${line?.trim() ?? ''}`);
}
