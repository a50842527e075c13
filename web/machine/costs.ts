/** What each reader costs, as bars over a common scale, with the floor drawn through all of them. */
import type { SeenCosts } from '../../src/guest/observed.ts';
import { byId, element, setText } from '../dom.ts';

/** It costs a multiple of all the others: it would make their bars alike, so its own is cut. */
const CUT = 'syscall-clock-gettime';

export function costBars(): (costs: SeenCosts) => void {
  const body = byId('costs');
  return ({ readers, floor }) => {
    while (body.children.length > readers.length) body.lastElementChild!.remove();
    while (body.children.length < readers.length) body.append(emptyRow());
    const longest = Math.max(...readers.filter(({ name }) => name !== CUT).map(({ ns }) => ns.median));
    const share = (ns: number) => `${Math.min(100, (95 * ns) / longest)}%`;
    const floorNs = readers.find(({ name }) => name === floor)?.ns.median ?? 0;
    readers.forEach(({ name, ns, toFloor }, index) => {
      const [title, chart, median, ratio] = body.children[index]!.children;
      setText(title!, name);
      const bar = chart!.firstElementChild as HTMLElement;
      bar.style.setProperty('--share', share(ns.median));
      bar.style.setProperty('--floor', share(floorNs));
      bar.toggleAttribute('data-cut', ns.median > longest);
      setText(median!, ns.median.toFixed(1));
      setText(ratio!, `${toFloor.toFixed(2)} x`);
    });
  };
}

/** The bar repeats the number beside it, so it is not read out. */
function emptyRow(): HTMLElement {
  const bar = element('div', { class: 'bar' });
  const chart = element('td', { 'aria-hidden': 'true' }, bar);
  return element('tr', {}, element('th', { scope: 'row' }), chart, element('td'), element('td'));
}
