/**
 * Every way in which one update, or one migration, can fall between the operations of one call of a reader. These are
 * checks for the tests: each throws where a reader's answer is wrong.
 */
import assert from 'node:assert/strict';
import type { Pvti } from '../../src/abi/pvti.ts';
import type { Reader } from '../../src/guest/cpu.ts';
import { beginUpdate, RECORDS, rewrite, ScriptedCpu, STABLE, timeAt } from './scripted-cpu.ts';

/** More than any reader does in a call with one retry. */
const OPERATIONS = 40;

/** A later version on another line: the clock was set, and its rate corrected. */
export const MOVED: Pvti = {
  ...STABLE,
  version: 6,
  tscTimestamp: 1_900_000n,
  systemTime: 9_000_000_000n,
  tscToSystemMul: 0xc000_0000,
  tscShift: -1,
};

/** Makes the reader; called once for every interleaving, as a reader may keep a line. */
type MakeReader = () => Reader;

/** The answer is on one line: that of the old record or that of the new one, at the TSC that was read last. */
export function checkNeverTorn(make: MakeReader, after: Pvti = MOVED): void {
  forEachPair((begin, end) => {
    const cpu = new ScriptedCpu(STABLE, STABLE);
    cpu.before(begin, () => beginUpdate(cpu, after)).before(end, () => rewrite(cpu, after));
    const ns = make()(cpu, RECORDS);
    const right = [timeAt(STABLE, cpu.readAt), timeAt(after, cpu.readAt)];
    assert.ok(
      ns !== undefined && right.includes(ns),
      `update before operations ${begin} and ${end}: ${ns}\n${cpu.log}`,
    );
  });
}

/** Bit and values belong to one update: where the new record is not stable, no answer comes from its line. */
export function checkBitBelongs(make: MakeReader): void {
  const unstable = { ...MOVED, flags: 0 };
  forEachPair((begin, end) => {
    const cpu = new ScriptedCpu(STABLE);
    cpu.before(begin, () => beginUpdate(cpu, unstable)).before(end, () => rewrite(cpu, unstable));
    const ns = make()(cpu, RECORDS);
    assert.ok(
      ns === undefined || ns === timeAt(STABLE, cpu.readAt),
      `update before operations ${begin} and ${end}: ${ns}\n${cpu.log}`,
    );
  });
}

/**
 * The thread is on vCPU 1, is moved to vCPU 0 and, later, back. The TSCs are 5000 cycles apart and the records make up for
 * it, so that either vCPU's TSC by its own record gives the same time.
 */
export function checkMigration(make: MakeReader, flags: number): void {
  const record0 = { ...STABLE, flags };
  const record1 = { ...record0, tscTimestamp: record0.tscTimestamp + 5000n };
  forEachPair((away, back) => {
    const cpu = new ScriptedCpu(record0, record1);
    cpu.tscAhead[1] = 5000n;
    cpu.on = 1;
    cpu.before(away, () => {
      cpu.on = 0;
    });
    cpu.before(back, () => {
      cpu.on = 1;
    });
    const ns = make()(cpu, RECORDS);
    assert.equal(ns, timeAt(record0, cpu.readAt), `moved before operations ${away} and ${back}\n${cpu.log}`);
  });
}

function forEachPair(run: (first: number, second: number) => void): void {
  for (let first = 1; first <= OPERATIONS; first++) {
    for (let second = first; second <= OPERATIONS; second++) run(first, second);
  }
}
