/** The configuration that is chosen as a file for Spin or TLC, made here and offered as a link. */
import type { Format } from '../../src/checker/export/written.ts';
import type { Configuration } from '../../src/checker/scenarios.ts';
import { byId, element } from '../dom.ts';
import { startWorker } from '../worker.ts';
import type { Answer, Order } from './export-worker.ts';

/** What each format is for, as its button has it. */
const BUTTONS: Readonly<Record<Format, string>> = { promela: 'race-promela', tla: 'race-tla' };

/** `chosen`: the configuration at the time of the click. */
export function offerExport(chosen: () => Configuration): void {
  const links = byId('race-exported');
  let worker: Worker | undefined;
  let urls: string[] = [];

  const show = (...content: (Node | string)[]): void => {
    links.replaceChildren(...content);
    links.hidden = false;
  };

  const offer = (answer: Answer): void => {
    if ('failed' in answer) {
      show(`It cannot be written down: ${answer.failed}.`);
      return;
    }
    urls = answer.files.map(({ text }) => URL.createObjectURL(new Blob([text], { type: 'text/plain' })));
    const files = answer.files.map(({ name }, index) => element('a', { href: urls[index]!, download: name }, name));
    show('Written down: ', ...files.flatMap((file, index) => (index === 0 ? [file] : [' and ', file])));
    if (!answer.complete)
      links.append(' (of a search that was cut off: it may lack answers, and says so where it does)');
  };

  for (const [format, button] of Object.entries(BUTTONS) as [Format, string][]) {
    byId(button).addEventListener('click', () => {
      worker?.terminate();
      for (const url of urls) URL.revokeObjectURL(url);
      urls = [];
      show('Writing it down.');
      const configuration = chosen();
      worker = startWorker('./export-worker.js', import.meta.url);
      worker.onerror = ({ message }) => offer({ failed: message || 'the exporter cannot be loaded' });
      worker.onmessage = ({ data }: MessageEvent<Answer>) => {
        worker?.terminate();
        offer(data);
      };
      worker.postMessage({ configuration, format, name: nameOf(configuration, format) } satisfies Order);
    });
  }
}

/** A TLA+ module's name must be that of its file, and has no hyphens. */
function nameOf({ reader, host, writer, update, memory }: Configuration, format: Format): string {
  const name = [reader, host, writer, update, memory].join('_').replaceAll('-', '_');
  return format === 'promela' ? `${name}.pml` : name;
}
