/** The server's events, typed: see src/guest/observed.ts for what each tells. */
import type { EventName, Told } from '../../src/guest/observed.ts';

export type Listeners = { readonly [N in EventName]: (told: Told[N]) => void };

/** Listens for as long as the page lives; the browser comes back by itself when the connection is lost. */
export function listenTo(url: string, listeners: Listeners, onState: (state: 'open' | 'lost') => void): void {
  const source = new EventSource(url);
  const on = <N extends EventName>(name: N, listener: (told: Told[N]) => void) =>
    source.addEventListener(name, (event: MessageEvent<string>) => listener(JSON.parse(event.data) as Told[N]));
  on('hello', listeners.hello);
  on('sample', listeners.sample);
  on('records', listeners.records);
  on('change', listeners.change);
  on('costs', listeners.costs);
  on('order', listeners.order);
  source.onopen = () => onState('open');
  source.onerror = () => onState('lost');
}
