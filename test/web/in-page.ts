/** Functions that are handed to the browser: each stands on its own, and names nothing outside of itself. */

/** Controls and regions that a screen reader has no name for. */
export function unnamed(): string[] {
  const textOf = (ids: string) =>
    ids
      .split(' ')
      .map((id) => document.getElementById(id)?.textContent ?? '')
      .join('');
  const nameOf = (element: Element): string => {
    if (element.matches('button, a, summary')) return element.textContent ?? '';
    const labels = (element as HTMLInputElement).labels;
    const given = element.getAttribute('aria-label') ?? textOf(element.getAttribute('aria-labelledby') ?? '');
    if (given !== '') return given;
    return [...(labels ?? [])].map((label) => label.textContent).join('');
  };
  const wanted = 'button, a, summary, select, input, textarea, nav, section, [role=img], [role=region], [tabindex="0"]';
  return [...document.querySelectorAll(wanted)]
    .filter((element) => element.checkVisibility({ visibilityProperty: true }) && nameOf(element).trim() === '')
    .map((element) => element.outerHTML.slice(0, 100));
}

/** Texts that are shown with less contrast to what is behind them than WCAG 2 AA asks for: 4.5 to 1, 3 to 1 where large. */
export function faint(): string[] {
  type Colour = [red: number, green: number, blue: number, alpha: number];
  const parse = (text: string): Colour => {
    const [red = 0, green = 0, blue = 0, alpha = 1] = (text.match(/[\d.]+/g) ?? []).map(Number);
    return [red, green, blue, alpha];
  };
  const luminance = ([red, green, blue]: Colour): number => {
    const linear = (value: number) => {
      const share = value / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  };
  const behind = (element: Element | null): Colour => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const list: string[] = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement!;
    if (node.textContent!.trim() === '' || !element.checkVisibility({ visibilityProperty: true })) continue;
    const style = getComputedStyle(element);
    const [a, b] = [luminance(parse(style.color)), luminance(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = Number.parseFloat(style.fontSize) >= 24;
    if (contrast < (large ? 3 : 4.5)) list.push(`${contrast.toFixed(2)}: ${node.textContent!.trim().slice(0, 60)}`);
  }
  return list;
}

/** Drawn colours of the palette with less than the 3 to 1 to a card's ground that WCAG 2 AA asks of what is drawn. */
export function faintlyDrawn(): string[] {
  const style = getComputedStyle(document.documentElement);
  const luminance = (name: string): number => {
    const hex = style.getPropertyValue(`--${name}`).trim();
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
      const share = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one: string, other: string): number => {
    const [a, b] = [luminance(one), luminance(other)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const drawn = [
    ['bar', 'card'],
    ['accent', 'card'],
    ['mark', 'card'],
    ['bar-floor', 'bar'],
    ['bar-floor', 'card'],
  ] as const;
  return drawn
    .map(([one, other]) => `${one} on ${other}: ${contrast(one, other).toFixed(2)}`)
    .filter((line) => Number(line.split(': ')[1]) < 3);
}

/** Begins to add up how much the page moves by itself. */
export function watchShifts(): void {
  const page = globalThis as unknown as { shifted: number };
  page.shifted = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) page.shifted += (entry as unknown as { value: number }).value;
  }).observe({ type: 'layout-shift' });
}

export function shifted(): number {
  return (globalThis as unknown as { shifted: number }).shifted;
}

/** How many pixels of a plot are of the palette's colour `name`. */
export function pixelsOf([id, name]: readonly [id: string, name: string]): number {
  const drawn = document.querySelector<HTMLCanvasElement>(`#${id} canvas`);
  const hex = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  if (drawn === null || drawn.width === 0) return 0;
  const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
  const copy = new OffscreenCanvas(drawn.width, drawn.height).getContext('2d', { willReadFrequently: true })!;
  copy.drawImage(drawn, 0, 0);
  const { data } = copy.getImageData(0, 0, drawn.width, drawn.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at] === red && data[at + 1] === green && data[at + 2] === blue && data[at + 3] === 255) count++;
  }
  return count;
}

/** By how many pixels the page is wider than its window. */
export function overflow(): number {
  return document.documentElement.scrollWidth - document.documentElement.clientWidth;
}
