/** Each barrier dropped, each check moved, each retry skipped, one at a time, by name. */
import type { Mutants } from '../mutants.ts';
import type { Configuration } from '../scenarios.ts';
import { type Mutation, mutantsOf } from './mutation.ts';
import { OF_GUEST } from './of-guest.ts';
import { OF_PUBLISHERS } from './of-publishers.ts';
import { OF_READERS } from './of-readers.ts';
import { OF_UPDATE } from './of-update.ts';

export const MUTATIONS: readonly Mutation[] = [...OF_READERS, ...OF_GUEST, ...OF_PUBLISHERS, ...OF_UPDATE];

/** What the configuration's mutation makes of the shipped functions; undefined where it has none. Throws RangeError on no such name. */
export function mutantsIn({ mutation: name }: Configuration): Mutants | undefined {
  if (name === undefined) return undefined;
  const mutation = MUTATIONS.find((one) => one.name === name);
  if (mutation === undefined) throw new RangeError(`no mutation is called ${JSON.stringify(name)}`);
  return mutantsOf(mutation);
}
