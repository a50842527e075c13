/**
 * The page: one view at a time, chosen by the address's fragment, so that a link leads to what is shown. A view begins when
 * it is first shown.
 */
/** What stands after the view's name in the fragment (`#race/...`) is the view's own; it is told whenever it changes. */
type View = (section: HTMLElement, rest: string) => void;

/** Each is loaded when it is first shown. */
const VIEWS: Readonly<Record<string, () => Promise<View>>> = {
  machine: async () => (await import('./machine/machine.ts')).startMachine,
  race: async () => (await import('./race/race.ts')).startRace,
  matrix: async () => (await import('./matrix/matrix.ts')).startMatrix,
};

const sections = [...document.querySelectorAll<HTMLElement>('[data-view]')];

async function show(): Promise<void> {
  const [name = '', rest = ''] = splitOnce(location.hash.slice(1), '/');
  const section = sections.find(({ id }) => id === name) ?? sections[0]!;
  for (const other of sections) other.hidden = other !== section;
  for (const link of document.querySelectorAll('nav a')) {
    if (link.getAttribute('href') === `#${section.id}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${section.getAttribute('data-view')} - kvmclock`;
  const start = await VIEWS[section.id]!();
  start(section, section.id === name ? rest : '');
}

function splitOnce(text: string, at: string): string[] {
  const index = text.indexOf(at);
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + 1)];
}

addEventListener('hashchange', () => void show());
void show();
