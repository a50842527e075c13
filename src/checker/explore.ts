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
  /** Asked as often: true cuts the search off. `found`: what was found so far. */
  readonly enough?: (states: number, found: readonly (PropertyName | WitnessName)[]) => boolean;
}

const PROGRESS_EVERY = 2 ** 15;

/** From here on packing all states anew is worth avoiding. */
const MANY_STATES = 2 ** 16;

/** Explores `world` from its beginning; and once more, by itself, where what was taken for private turns out not to be. */
export function explore(world: World, options: ExploreOptions = {}): Exploration {
  for (;;) {
    const exploration = new Search(world, options).run();
    if (exploration !== undefined) return exploration;
  }
}

class Search {
  readonly #world: World;
  readonly #options: ExploreOptions;
  readonly #bounds: Bounds;
  readonly #set: StateSet;
  readonly #firsts = new Map<PropertyName | WitnessName, number>();
  #fields: Fields;
  #stepper: Stepper;
  /** Bits of all that was found. */
  #seen = 0;
  #expanding = -1;
  #transitions = 0;
  #full = false;

  constructor(world: World, options: ExploreOptions) {
    this.#world = world;
    this.#options = options;
    this.#bounds = options.bounds ?? DEFAULT_BOUNDS;
    this.#fields = world.layout.packed();
    this.#set = new StateSet(this.#fields.words, this.#bounds.bytes);
    this.#stepper = this.#newStepper();
  }

  /** Undefined where the search is void: something was taken for private that is not. */
  run(): Exploration | undefined {
    this.#world.visibility.outdated = false;
    this.#withRoom(() => this.#set.add(this.#stepper.initial(), -1));
    this.#expanding = 0;
    while (!this.#isAtEnd()) {
      this.#withRoom(() => this.#expandAll());
      if (this.#world.visibility.outdated) return undefined;
    }
    return this.#result();
  }

  #isAtEnd(): boolean {
    return this.#expanding >= this.#set.count || this.#full || this.#set.count > this.#bounds.states;
  }

  #expandAll(): void {
    const { visibility } = this.#world;
    const set = this.#set;
    const stepper = this.#stepper;
    const states = this.#bounds.states;
    for (; this.#expanding < set.count && !this.#full && set.count <= states; this.#expanding++) {
      set.read(this.#expanding, stepper.to.current);
      stepper.expand();
      if (visibility.outdated) return;
      if (this.#expanding % PROGRESS_EVERY === 0) this.#report();
    }
  }

  /** Does `work`; where a value does not fit its field, makes room and leaves the rest of the work to the next time. */
  #withRoom(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      if (thrown !== WIDEN) throw thrown;
      this.#widen(this.#stepper.to.overflow);
      if (this.#set.count === 0) this.#withRoom(work);
    }
  }

  /** More bits for `field`, for every state: few at a time while that is cheap. */
  #widen(field: number): void {
    const { layout } = this.#world;
    const before = this.#fields;
    layout.widen(field, this.#set.count < MANY_STATES ? 1 : 2);
    const after = layout.packed(before.words);
    if (!this.#set.repack(after.words, (from, to) => before.convert(from, after, to))) {
      this.#full = true;
      return;
    }
    this.#fields = after;
    this.#stepper = this.#newStepper();
  }

  #newStepper(): Stepper {
    const set = this.#set;
    return new Stepper(this.#world, this.#fields, (next, found) => {
      this.#transitions++;
      if ((found & ~this.#seen) !== 0) this.#note(found & ~this.#seen);
      if (set.add(next, this.#expanding) === undefined) this.#full = true;
    });
  }

  #note(bits: number): void {
    for (const name of namesIn(bits)) this.#firsts.set(name, this.#expanding);
    this.#seen |= bits;
  }

  #report(): void {
    const { onProgress, enough } = this.#options;
    onProgress?.(this.#set.count, this.#expanding);
    if (enough?.(this.#set.count, [...this.#firsts.keys()])) this.#full = true;
  }

  #result(): Exploration {
    const set = this.#set;
    const found = [...this.#firsts].map(([name, state]) => ({ name, state, steps: this.#depthOf(state) + 1 }));
    const complete = this.#expanding === set.count && !this.#full;
    const { count: states } = set;
    return { world: this.#world, fields: this.#fields, set, complete, states, transitions: this.#transitions, found };
  }

  #depthOf(state: number): number {
    let depth = 0;
    for (let at = state; this.#set.parent(at) >= 0; at = this.#set.parent(at)) depth++;
    return depth;
  }
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
