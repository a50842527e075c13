/**
 * The page: one view at a time, chosen by the address's fragment, so that a link leads to what is shown. A view begins when
 * it is first shown.
 */
import { startMachine } from './machine/machine.ts';

/** What stands after the view's name in the fragment (`#race/...`) is the view's own; it is told whenever it changes. */
type View = (section: HTMLElement, rest: string) => void;

const VIEWS: Readonly<Record<string, View>> = { machine: startMachine };

const sections = [...document.querySelectorAll<HTMLElement>('[data-view]')];

function show(): void {
  const [name = '', rest = ''] = splitOnce(decodeURIComponent(location.hash.slice(1)), '/');
  const section = sections.find(({ id }) => id === name) ?? sections[0]!;
  for (const other of sections) other.hidden = other !== section;
  for (const link of document.querySelectorAll('nav a')) {
    if (link.getAttribute('href') === `#${section.id}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${section.getAttribute('data-view')} - kvmclock`;
  VIEWS[section.id]!(section, section.id === name ? rest : '');
}

function splitOnce(text: string, at: string): string[] {
  const index = text.indexOf(at);
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + 1)];
}

addEventListener('hashchange', show);
show();
