/** Writes a configuration down for another checker, on a thread of its own: one message, one answer. */
import { type Export, type Format, written } from '../../src/checker/export/written.ts';
import { type Configuration, scenarioOf } from '../../src/checker/scenarios.ts';
import { messageOf } from '../worker.ts';
import { BOUNDS } from './bounds.ts';

export interface Order {
  readonly configuration: Configuration;
  readonly format: Format;
  readonly name: string;
}

export type Answer = Export | { readonly failed: string };

addEventListener('message', ({ data }: MessageEvent<Order>) => {
  const { configuration, format, name } = data;
  const say = (answer: Answer): void => postMessage(answer);
  try {
    say(written(scenarioOf(configuration), configuration, format, name, { bounds: BOUNDS }));
  } catch (error) {
    say({ failed: messageOf(error) });
  }
});
