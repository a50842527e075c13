import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { REDUCTION_NAMES, reducedBut } from '../../src/checker/reductions.ts';
import type { ThreadCpu } from '../../src/checker/replay.ts';
import type { Memory } from '../../src/checker/scenario.ts';
import { resultsOf, type Thread, X, Y, Z } from '../checker/small.ts';

/** `until` and `wait` go on once the word is not 0: the one goes round, the other sleeps. */
const KINDS = ['load', 'store', 'or', 'exchange', 'fence', 'until', 'wait'] as const;

interface Operation {
  readonly kind: (typeof KINDS)[number];
  readonly address: number;
  readonly value: number;
}

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.oneof({ weight: 3, arbitrary: fc.constantFrom('load', 'store') }, fc.constantFrom(...KINDS)),
  address: fc.constantFrom(X, Y, Z),
  value: fc.integer({ min: 0, max: 3 }),
});

const threads = fc.array(fc.array(operation, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 });

/** What an operation gets. */
function done(cpu: ThreadCpu, { kind, address, value }: Operation): number {
  if (kind === 'load') return cpu.load32(address);
  if (kind === 'or') return cpu.fetchOr32(address, value);
  if (kind === 'exchange') return cpu.exchange32(address, value);
  if (kind === 'store') cpu.store32(address, value);
  else if (kind === 'fence') cpu.fence();
  else if (kind === 'wait') cpu.wait32(address, 0);
  else while (cpu.load32(address) === 0) cpu.relax();
  return 0;
}

/** All that its operations get, as one number. */
const threadOf =
  (operations: readonly Operation[]): Thread =>
  (cpu) =>
    operations.reduce((got, one) => got * 4 + done(cpu, one), 0);

interface State {
  readonly memory: Readonly<Record<number, number>>;
  readonly threads: readonly {
    readonly at: number;
    readonly got: number;
    readonly buffer: readonly (readonly [address: number, value: number])[];
  }[];
}

/** Every state behind `state`: one operation of one thread, or one store of one buffer, further. */
function* after(state: State, all: readonly (readonly Operation[])[], memory: Memory): Generator<State> {
  for (const [index, thread] of state.threads.entries()) {
    const put = (values: State['memory'], changes: Partial<State['threads'][number]>): State => {
      return { memory: values, threads: state.threads.with(index, { ...thread, ...changes }) };
    };
    const [oldest, ...newer] = thread.buffer;
    if (oldest !== undefined) yield put({ ...state.memory, [oldest[0]]: oldest[1] }, { buffer: newer });
    const next = all[index]![thread.at];
    if (next === undefined) continue;
    const { kind, address, value } = next;
    const held = thread.buffer.findLast(([stored]) => stored === address)?.[1] ?? state.memory[address]!;
    const gets = (got: number) => ({ at: thread.at + 1, got: thread.got * 4 + got });
    const locked = kind === 'or' || kind === 'exchange';
    if ((locked || kind === 'fence') && oldest !== undefined) continue;
    if ((kind === 'until' || kind === 'wait') && held === 0) continue;
    if (kind === 'store' && memory === 'tso')
      yield put(state.memory, { ...gets(0), buffer: [...thread.buffer, [address, value]] });
    else if (kind === 'store') yield put({ ...state.memory, [address]: value }, gets(0));
    else if (locked) yield put({ ...state.memory, [address]: kind === 'or' ? held | value : value }, gets(held));
    else yield put(state.memory, gets(kind === 'load' ? held : 0));
  }
}

/** What resultsOf() is to say, by going every way there is. */
function byEveryWay(all: readonly (readonly Operation[])[], memory: Memory): string[] {
  const first: State = { memory: { [X]: 0, [Y]: 0, [Z]: 0 }, threads: all.map(() => ({ at: 0, got: 0, buffer: [] })) };
  const known = new Set([JSON.stringify(first)]);
  const open = [first];
  const results = new Set<string>();
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    if (state.threads.every(({ at }, index) => at === all[index]!.length))
      results.add(state.threads.map(({ got }) => got).join());
    for (const next of after(state, all, memory)) {
      const key = JSON.stringify(next);
      if (known.has(key)) continue;
      known.add(key);
      open.push(next);
    }
  }
  return [...results].sort();
}

describe('any threads', () => {
  for (const memory of ['sc', 'tso'] as const) {
    test(`explore() comes to the results of every way to go, with reductions and without: ${memory}`, () => {
      fc.assert(
        fc.property(threads, (all) => {
          const expected = byEveryWay(all, memory);
          const run = all.map(threadOf);
          assert.deepEqual(resultsOf(run, memory), expected);
          assert.deepEqual(resultsOf(run, memory, reducedBut(REDUCTION_NAMES)), expected);
        }),
        { numRuns: 150 },
      );
    });
  }
});
