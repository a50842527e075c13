import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explore } from '../../src/checker/explore.ts';
import type { ThreadCpu } from '../../src/checker/replay.ts';
import { makeWorld } from '../../src/checker/world.ts';
import { endsOf, type Thread, threadsOf, X, Y } from './small.ts';

const writer: Thread = (cpu) => {
  for (let value = 1; value <= 3; value++) cpu.store32(X, value);
  cpu.store32(Y, 1);
  return undefined;
};

/** Explores `thread` beside the writer; its results, and how many histories there are. */
function exploreLoop(thread: Thread): { results: string[]; nodes: number } {
  const world = makeWorld(threadsOf([writer, thread], 'sc'));
  const results = endsOf(explore(world));
  return { results, nodes: world.histories.count };
}

const waitForY = (cpu: ThreadCpu): number => {
  for (;;) {
    const x = cpu.load32(X);
    if (cpu.load32(Y) === 1) return x;
    cpu.relax();
  }
};

describe('relax()', () => {
  test('explore() ends where a loop may go round for ever, with every result that it can come to', () => {
    assert.deepEqual(exploreLoop(waitForY).results, ['0', '1', '2', '3']);
  });

  test('explore() cuts to the head of the inner loop of two, and of the outer', () => {
    const nested: Thread = (cpu) => {
      const first = cpu.load32(X);
      for (;;) {
        while (cpu.load32(X) === 0) cpu.relax();
        if (cpu.load32(Y) === 1) return first * 10 + cpu.load32(X);
        cpu.relax();
      }
    };
    assert.deepEqual(exploreLoop(nested).results, ['13', '23', '3', '33']);
  });

  test('explore() keeps what was read before the loop', () => {
    const kept: Thread = (cpu) => {
      const before = cpu.load32(X);
      return waitForY(cpu) - before;
    };
    assert.deepEqual(exploreLoop(kept).results, ['0', '1', '2', '3']);
  });

  test('explore() waits in a loop for what another thread has yet to store, and gives up on nothing', () => {
    const until: Thread = (cpu) => {
      while (cpu.load32(Y) === 0) cpu.relax();
      return cpu.load32(Y);
    };
    const late: Thread = (cpu) => {
      cpu.load32(X);
      cpu.store32(Y, 2);
      return undefined;
    };
    assert.deepEqual(endsOf(explore(makeWorld(threadsOf([until, late], 'sc')))), ['2']);
    assert.deepEqual(endsOf(explore(makeWorld(threadsOf([until], 'sc')))), []);
  });

  test('explore() refuses a loop on what nobody else changes that calls no relax()', () => {
    const busy: Thread = (cpu) => {
      while (cpu.load32(Y) === 0);
      return undefined;
    };
    assert.throws(() => explore(makeWorld(threadsOf([busy], 'sc'))), {
      message: 'thread 1: a loop on what nobody else changes calls no relax()',
    });
  });

  const carried = (name: string, thread: Thread): void => {
    test(`explore() refuses ${name}, by the function's name`, () => {
      assert.throws(() => exploreLoop(thread), {
        name: 'CarriedLocal',
        message: /^thread 2: a retry loop carries a local round relax\(\) \(.+\); declare it inside the loop/,
      });
    });
  };

  carried('a loop that keeps the largest value of all rounds', (cpu) => {
    let largest = 0;
    for (;;) {
      largest = Math.max(largest, cpu.load32(X));
      if (cpu.load32(Y) === 1) return largest * 2;
      cpu.relax();
    }
  });

  carried('a loop that gives up after three rounds', (cpu) => {
    for (let round = 0; round < 3; round++) {
      if (cpu.load32(Y) === 1) return 1;
      cpu.relax();
    }
    return 0;
  });

  carried('a loop that does something else on its second round', (cpu) => {
    for (let round = 0; ; round++) {
      if (cpu.load32(round === 0 ? X : Y) === 1) return round;
      cpu.relax();
    }
  });

  carried('a loop that remembers that it has failed', (cpu) => {
    let failed = 0;
    for (;;) {
      const x = cpu.load32(X);
      if (cpu.load32(Y) === 1) return x + 100 * failed;
      failed = 1;
      cpu.relax();
    }
  });

  test('explore() refuses a function that keeps state outside its call', () => {
    let calls = 0;
    const forgetful: Thread = (cpu) => cpu.load32(calls++ % 2 === 0 ? X : Y) + cpu.load32(X);
    assert.throws(() => exploreLoop(forgetful), /thread 2 did something else on the same answers/);
  });
});
