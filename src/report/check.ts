/** Verdicts of the checker as scripts see them: the keys of `kvmclock check --json`. */
import type { Finding, Verdict } from '../checker/check.ts';

/** A verdict and how long it took. */
export interface TimedVerdict extends Verdict {
  readonly seconds: number;
}

export interface VerdictShape {
  readonly reader: string;
  readonly host: string;
  readonly writer: string;
  readonly update: string;
  readonly memory: string;
  readonly vcpus: number;
  readonly threads: number;
  readonly calls: number;
  readonly updaters: number;
  readonly updates: number;
  readonly ticks: number;
  readonly kernel: string;
  readonly early: string | null;
  /** False: cut off by a bound, and so no pass. */
  readonly complete: boolean;
  readonly states: number;
  readonly transitions: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly violated: readonly Finding[];
  readonly witnessed: readonly Finding<string>[];
}

export function verdictShape(verdict: TimedVerdict): VerdictShape {
  const { configuration, complete, states, transitions, bytes, seconds, violated, witnessed } = verdict;
  const { early, ...rest } = configuration;
  return { ...rest, early: early ?? null, complete, states, transitions, bytes, seconds, violated, witnessed };
}
