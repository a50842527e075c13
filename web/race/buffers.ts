/** What waits in the store buffers behind each step: from what threads have stored, and what has reached memory. */
import { KIND } from '../../src/checker/operations.ts';
import type { Action } from '../../src/checker/recorder.ts';
import type { Step } from '../../src/checker/trace.ts';

/** By thread: what it has stored and nobody else can see yet, oldest first. */
export type Buffers = ReadonlyMap<string, readonly string[]>;

/** For each step. Where every store is in memory at once, all are empty. */
export function buffersBehind(steps: readonly Step[], buffered: boolean): Buffers[] {
  const names = new Map<number, string>();
  let waiting: Buffers = new Map();
  return steps.map(({ actions }) => {
    if (buffered) for (const action of actions) waiting = after(waiting, action, names);
    return waiting;
  });
}

function after(
  waiting: Buffers,
  { actor, operation, thread, who, cell, what }: Action,
  names: Map<number, string>,
): Buffers {
  if (actor.kind === 'buffer') {
    const name = names.get(actor.processor)!;
    return new Map([...waiting, [name, waiting.get(name)!.slice(1)]]);
  }
  const isStore = operation?.kind === KIND.store || operation?.kind === KIND.count;
  if (!isStore || actor.kind === 'guest' || cell === undefined) return waiting;
  names.set(thread, who);
  return new Map([...waiting, [who, [...(waiting.get(who) ?? []), what.replace(/^writes /, '').replace(': ', ' = ')]]]);
}
