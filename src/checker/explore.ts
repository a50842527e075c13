/**
 * Breadth first over every state, so that the first way found to anything is a shortest one. Every property is looked at
 * on every step; the search goes on past a violation, so that one pass finds them all.
 *
 * A search that reaches a bound is cut off: it says so, and is no pass, whatever it has found or not found.
 */
import type { Fields } from './fields.ts';
import { WIDEN } from './memory.ts';
import { ALWAYS, namesIn, type PropertyName, SOMETIMES, type WitnessName } from './properties.ts';
import { StateSet } from './state-set.ts';
import { Stepper } from './stepper.ts';
import type { World } from './world.ts';

export interface Bounds {
  /** States to keep at most. */
  readonly states: number;
  /** Bytes that they and their table may take. */
  readonly bytes: number;
}

export const DEFAULT_BOUNDS: Bounds = { states: 50_000_000, bytes: 2 ** 31 };

/** A step from a state that is kept: what it shows is found by taking it again. */
export interface Found<Name = PropertyName | WitnessName> {
  readonly name: Name;
  /** The state from which the step is taken ... */
  readonly state: number;
  /** ... and the number of steps to the end of it. */
  readonly steps: number;
}

export interface Exploration {
  readonly world: World;
  readonly fields: Fields;
  readonly set: StateSet;
  /** Every state was reached and expanded. */
  readonly complete: boolean;
  readonly states: number;
  readonly transitions: number;
  readonly found: readonly Found[];
}

export interface ExploreOptions {
  readonly bounds?: Bounds;
  /** Called now and then with the states found and expanded so far. */
  readonly onProgress?: (states: number, expanded: number) => void;
}

const PROGRESS_EVERY = 2 ** 16;

/** Explores `world` from its beginning. Begins anew by itself where the packing or what was taken for private turns out wrong. */
export function explore(world: World, options: ExploreOptions = {}): Exploration {
  for (;;) {
    const exploration = attempt(world, options);
    if (exploration !== undefined) return exploration;
  }
}

function attempt(world: World, { bounds = DEFAULT_BOUNDS, onProgress }: ExploreOptions): Exploration | undefined {
  const fields = world.layout.packed();
  const set = new StateSet(fields.words, bounds.bytes);
  const firsts = new Map<PropertyName | WitnessName, number>();
  let seen = 0;
  let expanding = -1;
  let transitions = 0;
  let full = false;
  world.visibility.outdated = false;
  const stepper = new Stepper(world, fields, (next, found) => {
    transitions++;
    if ((found & ~seen) !== 0) {
      for (const name of namesIn(found & ~seen)) firsts.set(name, expanding);
      seen |= found;
    }
    if (set.add(next, expanding) === undefined) full = true;
  });
  try {
    set.add(stepper.initial(), -1);
    for (expanding = 0; expanding < set.count && !full && set.count <= bounds.states; expanding++) {
      set.read(expanding, stepper.to.current);
      stepper.expand();
      if (world.visibility.outdated) return undefined;
      if (expanding % PROGRESS_EVERY === 0) onProgress?.(set.count, expanding);
    }
  } catch (thrown) {
    if (thrown !== WIDEN) throw thrown;
    world.layout.widen(stepper.to.overflow);
    return undefined;
  }
  const depthOf = (state: number): number => {
    let depth = 0;
    for (let at = state; set.parent(at) >= 0; at = set.parent(at)) depth++;
    return depth;
  };
  const found = [...firsts].map(([name, state]) => ({ name, state, steps: depthOf(state) + 1 }));
  return { world, fields, set, complete: expanding === set.count && !full, states: set.count, transitions, found };
}

/** The properties that were violated, in the order of their list. */
export function violated(exploration: Exploration): Found<PropertyName>[] {
  return inOrder(ALWAYS, exploration);
}

/** What was seen to happen at least once. */
export function witnessed(exploration: Exploration): Found<WitnessName>[] {
  return inOrder(SOMETIMES, exploration);
}

function inOrder<Name>(list: readonly { readonly name: Name }[], { found }: Exploration): Found<Name>[] {
  return list.flatMap(({ name }) => found.flatMap((entry) => (entry.name === name ? [{ ...entry, name }] : [])));
}
