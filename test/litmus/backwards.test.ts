import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explore } from '../../src/checker/explore.ts';
import { NO_OUTCOME } from '../../src/checker/judge.ts';
import type { Program, ThreadCpu } from '../../src/checker/replay.ts';
import { makeWorld } from '../../src/checker/world.ts';
import { threadsOf, X, Y } from '../checker/small.ts';

const until = (cpu: ThreadCpu, address: number): void => {
  while (cpu.load32(address) === 0) cpu.relax();
};
const call = (ns: bigint, run: (cpu: ThreadCpu) => void): Program => ({
  name: `returns ${ns}`,
  run(cpu) {
    run(cpu);
    return ns;
  },
});
const host: Program = {
  name: 'vCPU 0',
  run(cpu) {
    cpu.load32(0x30);
    cpu.guest();
    return undefined;
  },
};

/** A call that returns 10 while another is under way that returns 5; behind both, one that returns `last`. */
function stepsBack(last: bigint): boolean {
  const long = call(5n, (cpu) => {
    cpu.store32(X, 1);
    until(cpu, Y);
  });
  const short = call(10n, (cpu) => {
    until(cpu, X);
    cpu.store32(Y, 1);
  });
  const { complete, found } = explore(
    makeWorld({
      ...threadsOf([], 'sc'),
      hosts: [host],
      ownRecords: [{ tscTimestamp: 2, systemTime: 2, tscToSystemMul: 2, tscShift: 2, tscOffset: 2 }],
      guests: [[long, call(last, (cpu) => cpu.load32(X))], [short]],
      outcome: (_program, _events, returned) =>
        typeof returned === 'bigint' ? { ...NO_OUTCOME, ns: returned, isCall: true } : NO_OUTCOME,
    }),
  );
  assert.ok(complete);
  return found.some(({ name }) => name === 'backwards');
}

describe('backwards', () => {
  test('a call may return less than one that returned after it had begun, and hides that one from nobody', () => {
    assert.deepEqual([7n, 9n, 10n, 11n].map(stepsBack), [true, true, false, false]);
  });
});
