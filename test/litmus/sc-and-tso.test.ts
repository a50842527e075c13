import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { REDUCTION_NAMES, reducedBut } from '../../src/checker/reductions.ts';
import type { Memory } from '../../src/checker/scenario.ts';
import { resultsOf, type Thread, X, Y } from '../checker/small.ts';

/** The tests under the names that the literature knows them by; each result is what the loads got, in order. */
const store =
  (...addresses: number[]): Thread =>
  (cpu) => {
    for (const address of addresses) cpu.store32(address, 1);
    return undefined;
  };

/** Two loads as one result: first * 2 + second. */
const loads =
  (first: number, second: number): Thread =>
  (cpu) =>
    cpu.load32(first) * 2 + cpu.load32(second);

const storeThenLoad =
  (stored: number, loaded: number, between: (cpu: Parameters<Thread>[0]) => void = () => {}): Thread =>
  (cpu) => {
    cpu.store32(stored, 1);
    between(cpu);
    return cpu.load32(loaded);
  };

const loadThenStore =
  (loaded: number, stored: number): Thread =>
  (cpu) => {
    const value = cpu.load32(loaded);
    cpu.store32(stored, 1);
    return value;
  };

function shows(memory: Memory, threads: readonly Thread[], result: string): boolean {
  const results = resultsOf(threads, memory);
  assert.deepEqual(results, resultsOf(threads, memory, reducedBut(REDUCTION_NAMES)), 'without a reduction');
  return results.includes(result);
}

describe('SB: two threads store, each then loads what the other stores', () => {
  const SB = [storeThenLoad(X, Y), storeThenLoad(Y, X)];
  test('sc does not show both loads getting 0', () => assert.equal(shows('sc', SB, '0,0'), false));
  test('tso shows both loads getting 0', () => assert.equal(shows('tso', SB, '0,0'), true));

  test('tso does not show it with a full fence between', () => {
    const fence = (cpu: Parameters<Thread>[0]) => cpu.fence();
    assert.equal(shows('tso', [storeThenLoad(X, Y, fence), storeThenLoad(Y, X, fence)], '0,0'), false);
  });

  test('tso does not show it with a locked operation between', () => {
    const locked = (cpu: Parameters<Thread>[0]) => void cpu.fetchOr32(0x30, 0);
    assert.equal(shows('tso', [storeThenLoad(X, Y, locked), storeThenLoad(Y, X, locked)], '0,0'), false);
  });

  test('tso shows it where only one of the two has a fence', () => {
    const fence = (cpu: Parameters<Thread>[0]) => cpu.fence();
    assert.equal(shows('tso', [storeThenLoad(X, Y, fence), storeThenLoad(Y, X)], '0,0'), true);
  });
});

describe('MP: one thread stores data, then a flag; another loads the flag, then the data', () => {
  const MP = [store(X, Y), loads(Y, X)];
  const NEW_FLAG_OLD_DATA = '2';
  for (const memory of ['sc', 'tso'] as const) {
    test(`${memory} does not show the new flag with the old data`, () => {
      assert.equal(shows(memory, MP, NEW_FLAG_OLD_DATA), false);
    });
    test(`${memory} shows the other three results`, () => assert.deepEqual(resultsOf(MP, memory), ['0', '1', '3']));
  }
});

describe('a thread stores a flag, then data, which another loads only once it has seen the flag', () => {
  const waits: readonly (readonly [string, Thread])[] = [
    [
      'asleep',
      (cpu) => {
        cpu.wait32(Y, 0);
        return cpu.load32(X);
      },
    ],
    [
      'in a loop',
      (cpu) => {
        while (cpu.load32(Y) === 0) cpu.relax();
        return cpu.load32(X);
      },
    ],
  ];
  for (const memory of ['sc', 'tso'] as const) {
    for (const [how, waiter] of waits) {
      test(`${memory} shows the old data and the new, where it waits ${how}: nobody else looked before`, () => {
        assert.deepEqual(resultsOf([store(Y, X), waiter], memory), ['0', '1']);
      });
    }
  }
});

describe('LB: two threads load, each then stores what the other loads', () => {
  for (const memory of ['sc', 'tso'] as const) {
    test(`${memory} does not show both loads getting 1`, () => {
      assert.equal(shows(memory, [loadThenStore(X, Y), loadThenStore(Y, X)], '1,1'), false);
    });
  }
});

describe('IRIW: two threads store, two others load both in opposite orders', () => {
  const IRIW = [store(X), store(Y), loads(X, Y), loads(Y, X)];
  for (const memory of ['sc', 'tso'] as const) {
    test(`${memory} does not show the readers seeing the stores in opposite orders`, () => {
      assert.equal(shows(memory, IRIW, '2,2'), false);
    });
  }
});

describe('a thread and its own store', () => {
  test('tso gives a load the newest of its own stores, also before it is in memory', () => {
    const own: Thread = (cpu) => {
      cpu.store32(X, 1);
      cpu.store32(X, 2);
      return cpu.load32(X);
    };
    assert.deepEqual(resultsOf([own, storeThenLoad(Y, X)], 'tso'), ['2,0', '2,1', '2,2']);
  });
});
