/** Small scenarios: threads over a few words, each on a processor of its own. */
import type { CellSpec } from '../../src/checker/cells.ts';
import { type Exploration, explore } from '../../src/checker/explore.ts';
import { NO_OUTCOME } from '../../src/checker/judge.ts';
import { KIND } from '../../src/checker/operations.ts';
import { REDUCED, type Steps } from '../../src/checker/reductions.ts';
import type { Program, ThreadCpu } from '../../src/checker/replay.ts';
import type { Memory, Scenario } from '../../src/checker/scenario.ts';
import { makeWorld } from '../../src/checker/world.ts';

/** The words' addresses. */
export const X = 0x10;
export const Y = 0x20;
export const Z = 0x30;

const WORDS: readonly CellSpec[] = [
  ['x', X],
  ['y', Y],
  ['z', Z],
].map(([name, address]) => ({
  name: String(name),
  address: Number(address),
  bytes: 4,
  initial: 0,
  role: 'other',
  record: 0,
}));

/** A thread: what it returns, if anything, is its result. */
export type Thread = (cpu: ThreadCpu) => number | undefined;

export function threadsOf(threads: readonly Thread[], memory: Memory): Scenario {
  const others = threads.map((run, index): Program => ({ name: `thread ${index + 1}`, run }));
  return {
    cells: WORDS,
    memory,
    hosts: [],
    ownRecords: [],
    once: [],
    others,
    guests: [],
    ticks: 0,
    hostTsc: 0n,
    hostNs: 0n,
    outcome: (_program, _events, returned) => ({
      ...NO_OUTCOME,
      result: returned === undefined ? '' : String(returned),
    }),
  };
}

/** Every combination of results that the threads can come to, as `1,0`, in order. */
export function resultsOf(threads: readonly Thread[], memory: Memory, steps: Steps = REDUCED): string[] {
  return endsOf(explore(makeWorld(threadsOf(threads, memory), steps)));
}

/** The results in the states in which every thread has come to its end. */
export function endsOf({ world, fields, set, complete }: Exploration): string[] {
  if (!complete) throw new Error('the search was cut off');
  const results = new Set<string>();
  const state = new Int32Array(fields.words);
  for (let index = 0; index < set.count; index++) {
    set.read(index, state);
    const ends = world.layout.node.map((field) => world.histories.operation(fields.get(state, field)));
    if (ends.some(({ kind }) => kind !== KIND.end)) continue;
    const texts = ends.map(({ operand }) => world.outcomes.get(Number(operand)).result).filter((text) => text !== '');
    results.add(texts.join());
  }
  return [...results].sort();
}
