/** The checker on a thread of its own: a message is a configuration, the answers are how far it is, and its verdict. */
import { check, type Verdict } from '../../src/checker/check.ts';
import type { Bounds } from '../../src/checker/explore.ts';
import type { Configuration } from '../../src/checker/scenarios.ts';

export interface TimedVerdict extends Verdict {
  readonly seconds: number;
}

export type Answer =
  | { readonly states: number; readonly expanded: number }
  | { readonly verdict: TimedVerdict }
  | { readonly failed: string };

/** A page shares its memory with others: less than the command allows itself. */
const BOUNDS: Bounds = { states: 5_000_000, bytes: 512 * 2 ** 20 };

const say = (answer: Answer): void => postMessage(answer);

addEventListener('message', ({ data }: MessageEvent<Configuration>) => {
  const start = performance.now();
  try {
    const verdict = check(data, { bounds: BOUNDS, onProgress: (states, expanded) => say({ states, expanded }) });
    say({ verdict: { ...verdict, seconds: (performance.now() - start) / 1000 } });
  } catch (error) {
    say({ failed: error instanceof Error ? error.message : String(error) });
  }
});
