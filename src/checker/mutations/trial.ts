/**
 * Which verdicts a mutation flips. One that flips none is not caught by anything here: either the memory does what the step was
 * for anyway, or no property misses it.
 */
import { check, type Finding, type Verdict } from '../check.ts';
import type { Configuration } from '../scenarios.ts';
import { type Mutation, mutantsOf, SETTINGS } from './mutation.ts';

/** A verdict that the mutation changed. */
export interface Flip {
  readonly configuration: Configuration;
  /** Properties that are violated, and things that happen, with it only ... */
  readonly broken: readonly string[];
  /** ... and without it only. */
  readonly mended: readonly string[];
  /** What `kvmclock replay` takes, for the first of `broken`; empty where there is none. */
  readonly replay: string;
}

/** `configurations`: where it was tried. */
export interface MutationReport extends Omit<Mutation, 'mutants' | 'setting'> {
  /** Every search was complete, or had found a flip. */
  readonly complete: boolean;
  readonly flips: readonly Flip[];
}

/** A search that has found a flip goes no further than this: it would only find more of them. */
const ENOUGH_STATES = 100_000;

/** What is found without a mutation, by configuration and setting: worth keeping from one mutation to the next. */
export type Baselines = Map<string, Baseline>;

interface Baseline {
  readonly complete: boolean;
  /** What was violated, and what happened. */
  readonly names: readonly string[];
}

/** Tries one mutation wherever it is to be tried, or in `configurations`. */
export function tryMutation(
  mutation: Mutation,
  baselines: Baselines = new Map(),
  configurations = mutation.configurations,
): MutationReport {
  const { name, part, says, because } = mutation;
  const flips: Flip[] = [];
  let complete = true;
  for (const configuration of configurations) {
    const before = baselineOf(mutation, configuration, baselines);
    const verdict = check(
      { ...configuration, mutation: name },
      {
        mutants: mutantsOf(mutation),
        enough: (states, found) => states > ENOUGH_STATES && found.some((property) => !before.names.includes(property)),
      },
    );
    const after = findings(verdict);
    const broken = after.filter(({ property }) => !before.names.includes(property));
    const names = after.map(({ property }) => property);
    const mended = verdict.complete ? before.names.filter((property) => !names.includes(property)) : [];
    if (broken.length + mended.length > 0) {
      const replay = broken[0]?.replay ?? '';
      flips.push({ configuration, broken: broken.map(({ property }) => property), mended, replay });
    }
    complete &&= before.complete && (verdict.complete || broken.length > 0);
  }
  return { name, part, says, ...(because === undefined ? {} : { because }), configurations, complete, flips };
}

function baselineOf({ setting }: Mutation, configuration: Configuration, baselines: Baselines): Baseline {
  const key = `${setting} ${JSON.stringify(configuration)}`;
  const known = baselines.get(key);
  if (known !== undefined) return known;
  const verdict = check(configuration, setting === undefined ? {} : { mutants: SETTINGS[setting] });
  const baseline = { complete: verdict.complete, names: findings(verdict).map(({ property }) => property) };
  baselines.set(key, baseline);
  return baseline;
}

function findings({ violated, witnessed }: Verdict): Finding<string>[] {
  return [...violated, ...witnessed];
}
