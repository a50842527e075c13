/** Verdicts of the checker as scripts see them: the keys of `kvmclock check --json`. */
import type { Finding, Verdict } from '../checker/check.ts';
import type { Configuration } from '../checker/scenarios.ts';

/** A verdict and how long it took. */
export interface TimedVerdict extends Verdict {
  readonly seconds: number;
}

/** A configuration's keys. */
export interface ConfigurationShape {
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
  /** A step left out or moved on purpose. */
  readonly mutation: string | null;
}

export interface VerdictShape extends ConfigurationShape {
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
  return { ...configurationShape(configuration), complete, states, transitions, bytes, seconds, violated, witnessed };
}

export function configurationShape({ early, mutation, ...rest }: Configuration): ConfigurationShape {
  return { ...rest, early: early ?? null, mutation: mutation ?? null };
}
