import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explore } from '../../src/checker/explore.ts';
import { NO_OUTCOME } from '../../src/checker/judge.ts';
import type { Program, ThreadCpu } from '../../src/checker/replay.ts';
import type { Scenario } from '../../src/checker/scenario.ts';
import type { Early } from '../../src/checker/windows.ts';
import { makeWorld } from '../../src/checker/world.ts';
import { threadsOf, X, Y } from '../checker/small.ts';

/** A guest thread reads; another processor has stored to X, then to Y. Which results can the reader come to? */
function readerSees(
  read: (cpu: ThreadCpu) => number,
  early: Early | undefined,
  wanted: number,
  more: Partial<Scenario> = {},
): boolean {
  const nothing = { tscTimestamp: 0, systemTime: 0, tscToSystemMul: 0, tscShift: 0, tscOffset: 0 };
  const writer: Program = {
    name: 'writer',
    run(cpu) {
      cpu.store32(X, 1);
      cpu.store32(Y, 1);
      return undefined;
    },
  };
  const host: Program = {
    name: 'host',
    run(cpu) {
      cpu.load32(0x30);
      cpu.guest();
      return undefined;
    },
  };
  const scenario = {
    ...threadsOf([], 'sc'),
    ...(early === undefined ? {} : { early }),
    hosts: [host],
    ownRecords: [nothing],
    others: [writer],
    guests: [[{ name: 'reader', run: read }]],
    outcome: (_program: Program, _events: unknown, returned: unknown) => ({
      ...NO_OUTCOME,
      broken: returned === wanted ? (['torn'] as const) : [],
    }),
    ...more,
  };
  const exploration = explore(makeWorld(scenario));
  assert.ok(exploration.complete);
  return exploration.found.some(({ name }) => name === 'torn');
}

const NEW_FLAG_OLD_DATA = 2;
const OLD_THEN_NEW = 1;
const NEW_THEN_OLD = 2;
const plain = (cpu: ThreadCpu) => cpu.load32(Y) * 2 + cpu.load32(X);
const sameCell = (cpu: ThreadCpu) => cpu.load32(X) * 2 + cpu.load32(X);

describe('MP with a reader whose loads may be done early', () => {
  test('in their turn: not the new flag with the old data', () => {
    assert.equal(readerSees(plain, undefined, NEW_FLAG_OLD_DATA), false);
  });

  test('any-order: the new flag with the old data', () => {
    assert.equal(readerSees(plain, 'any-order', NEW_FLAG_OLD_DATA), true);
  });

  test('any-order: the new flag, and the old data twice', () => {
    const twice = (cpu: ThreadCpu) => cpu.load32(Y) * 4 + cpu.load32(X) * 2 + cpu.load32(X);
    assert.equal(readerSees(twice, 'any-order', 4), true);
  });

  test('any-order: not with a read barrier between', () => {
    const fenced = (cpu: ThreadCpu) => {
      const flag = cpu.load32(Y);
      cpu.readBarrier();
      return flag * 2 + cpu.load32(X);
    };
    assert.equal(readerSees(fenced, 'any-order', NEW_FLAG_OLD_DATA), false);
  });

  test('late-tsc: x86 keeps loads in order among themselves', () => {
    assert.equal(readerSees(plain, 'late-tsc', NEW_FLAG_OLD_DATA), false);
  });
});

describe('CoRR: two loads of one cell', () => {
  for (const early of ['any-order', 'late-tsc'] as const) {
    test(`${early}: never the new value, then the old`, () => {
      assert.equal(readerSees(sameCell, early, NEW_THEN_OLD), false);
      assert.equal(readerSees(sameCell, early, OLD_THEN_NEW), true);
    });
  }
});

describe('a TSC read between two loads', () => {
  const around = (cpu: ThreadCpu) => {
    const before = cpu.load32(Y);
    cpu.rdtscOrdered();
    return before * 2 + cpu.load32(X);
  };
  const fencedAround = (cpu: ThreadCpu) => {
    const before = cpu.load32(Y);
    cpu.rdtscOrdered();
    cpu.loadFence();
    return before * 2 + cpu.load32(X);
  };

  test('any-order: the loads around it are not ordered by it', () => {
    assert.equal(readerSees(around, 'any-order', NEW_FLAG_OLD_DATA), true);
  });

  test('any-order: they are by a fence', () => {
    assert.equal(readerSees(fencedAround, 'any-order', NEW_FLAG_OLD_DATA), false);
  });
});

describe('a TSC read behind a load of what the host has made of its TSC', () => {
  const teller: Program = {
    name: 'teller',
    run(cpu) {
      cpu.store32(Y, Number(cpu.hostTsc()));
      return undefined;
    },
  };
  const told = { others: [teller], hostTsc: 1n, ticks: 1 };
  const NEW_BUT_READ_OLD = 2 * 4 + 1;
  const reading = (tsc: (cpu: ThreadCpu) => bigint) => (cpu: ThreadCpu) => {
    const host = cpu.load32(Y);
    return host === 0 ? 0 : host * 4 + Number(tsc(cpu));
  };
  const plainly = reading((cpu) => cpu.rdtsc());
  const ordered = reading((cpu) => cpu.rdtscOrdered());

  test('late-tsc: RDTSC alone may be of before that, though nobody was known to use it when time moved on', () => {
    assert.equal(readerSees(plainly, 'late-tsc', NEW_BUT_READ_OLD, told), true);
  });

  test('late-tsc: an ordered read may not', () => {
    assert.equal(readerSees(ordered, 'late-tsc', NEW_BUT_READ_OLD, told), false);
  });

  test('in its turn: neither', () => {
    assert.equal(readerSees(plainly, undefined, NEW_BUT_READ_OLD, told), false);
    assert.equal(readerSees(ordered, undefined, NEW_BUT_READ_OLD, told), false);
  });
});
