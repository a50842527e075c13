/**
 * What the search leaves out because nothing can come of it. Why each holds stands in docs/soundness.md; each can be switched off,
 * and tests compare what is found with it and without.
 */
export const REDUCTIONS = {
  private: 'an operation that no other thread can tell is done in one step with the one before it',
  leaving: 'a vCPU leaves the guest in one step with what its thread does next',
  'own-stores': 'a buffered store that nobody else looks at reaches memory as soon as it is the oldest',
  'any-vcpu': 'a load that is the same from every vCPU is done on one of them',
  rounds: 'the rounds of a retry loop that failed are forgotten',
} as const;

export type ReductionName = keyof typeof REDUCTIONS;
export type Reductions = ReadonlySet<ReductionName>;

export const REDUCTION_NAMES = Object.keys(REDUCTIONS) as ReductionName[];

/** How a world is cut into steps. */
export interface Steps {
  readonly reductions: Reductions;
  /** What a thread does in memory of its own is a step, and not part of the one before. */
  readonly apart: boolean;
}

export const REDUCED: Steps = reducedBut([]);
/** Every operation by itself: what a trace is made of. */
export const SINGLE: Steps = { reductions: new Set(), apart: true };

/** With every reduction but these. */
export function reducedBut(names: readonly ReductionName[]): Steps {
  return { reductions: new Set(REDUCTION_NAMES.filter((name) => !names.includes(name))), apart: false };
}

/** Failed rounds of a call that are kept where `rounds` is off: all of them would be infinitely many. */
export const KEPT_ROUNDS = 1;
