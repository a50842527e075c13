/** Tells listeners when the hypervisor rewrote the record. It looks from time to time; it holds no process alive. */
import type { Pvti } from '../abi/pvti.ts';
import { type RecordChange, recordChange } from '../guest/change.ts';

/** Is told of a rewrite of the record. What it throws is an uncaught exception of the process. */
export type ChangeListener = (change: RecordChange) => void;

export interface Watch {
  /** Adds a listener; the function returned removes it. The timer runs only while there is one. */
  onChange(listener: ChangeListener): () => void;
}

/** `look`: the record, and the TSC read after it. `seen`: called after each look, before the listeners. */
export function watchRecord(look: () => { record: Pvti; tsc: bigint }, everyMs: number, seen?: () => void): Watch {
  const listeners = new Set<ChangeListener>();
  let timer: ReturnType<typeof setInterval> | undefined;
  let last: Pvti | undefined;

  const poll = (): void => {
    const { record, tsc } = look();
    const change = last === undefined ? undefined : recordChange(last, record, tsc);
    last = record;
    seen?.();
    if (change !== undefined) for (const listener of listeners) listener(change);
  };
  const start = (): void => {
    if (timer !== undefined) return;
    last = undefined;
    poll();
    timer = setInterval(poll, everyMs);
    timer.unref();
  };
  return {
    onChange(listener) {
      if (typeof listener !== 'function') throw new TypeError(`onChange takes a function, got ${String(listener)}`);
      const own: ChangeListener = (change) => listener(change); // the same function may listen twice
      listeners.add(own);
      start();
      return () => {
        listeners.delete(own);
        if (listeners.size > 0 || timer === undefined) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
  };
}
