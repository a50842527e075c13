/** The checker on a thread of its own: a message is a configuration, the answers are how far it is, and its verdict. */
import { check, type Verdict } from '../../src/checker/check.ts';
import type { Configuration } from '../../src/checker/scenarios.ts';
import { messageOf } from '../worker.ts';
import { BOUNDS } from './bounds.ts';

export interface TimedVerdict extends Verdict {
  readonly seconds: number;
}

export type Answer =
  | { readonly states: number; readonly expanded: number }
  | { readonly verdict: TimedVerdict }
  | { readonly failed: string };

const say = (answer: Answer): void => postMessage(answer);

addEventListener('message', ({ data }: MessageEvent<Configuration>) => {
  const start = performance.now();
  try {
    const verdict = check(data, { bounds: BOUNDS, onProgress: (states, expanded) => say({ states, expanded }) });
    say({ verdict: { ...verdict, seconds: (performance.now() - start) / 1000 } });
  } catch (error) {
    say({ failed: messageOf(error) });
  }
});
