import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explore } from '../../src/checker/explore.ts';
import { NO_OUTCOME } from '../../src/checker/judge.ts';
import { REDUCED, REDUCTION_NAMES, reducedBut } from '../../src/checker/reductions.ts';
import type { Program } from '../../src/checker/replay.ts';
import { makeWorld } from '../../src/checker/world.ts';
import { threadsOf, X, Z } from '../checker/small.ts';

/** What a vCPU's TSC is ahead of the host's stands in Z, and is loaded as the vCPU enters the guest. */
const own = { tscTimestamp: 0, systemTime: 0, tscToSystemMul: 0, tscShift: 0, tscOffset: 2 };
const vcpu = (number: number): Program => ({
  name: `vCPU ${number}`,
  run(cpu) {
    cpu.load32(X);
    cpu.guest();
    return undefined;
  },
});
const mover: Program = {
  name: 'mover',
  run(cpu) {
    cpu.store32(Z, 1);
    return undefined;
  },
};
/** Three TSC reads, each with the vCPU that did it: `vCPU:TSC`, 1 where that vCPU has entered since the move. */
const reader: Program = {
  name: 'reader',
  run(cpu) {
    const readings = [cpu.rdtscp(), cpu.rdtscp(), cpu.rdtscp()];
    return readings.reduce((all, { vcpu: on, tsc }) => all * 4 + on * 2 + Number(tsc), 0);
  },
};

const text = (reading: number): string => `${reading >> 1}:${reading & 1}`;

describe('a guest thread that is moved while no vCPU leaves the guest', () => {
  for (const steps of [REDUCED, reducedBut(REDUCTION_NAMES)]) {
    test(`explore() moves it from any vCPU to any other, ${steps === REDUCED ? 'with' : 'without'} reductions`, () => {
      const results = new Set<string>();
      const { complete } = explore(
        makeWorld(
          {
            ...threadsOf([], 'sc'),
            hosts: [vcpu(0), vcpu(1)],
            ownRecords: [own, own],
            others: [mover],
            guests: [[reader]],
            outcome(program, _events, returned) {
              const all = Number(returned);
              if (program === reader) results.add([all >> 4, (all >> 2) & 3, all & 3].map(text).join(' '));
              return { ...NO_OUTCOME, isCall: program === reader };
            },
          },
          steps,
        ),
      );
      assert.ok(complete);
      const readings = ['0:0', '0:1', '1:0', '1:1'];
      const all = readings.flatMap((a) => readings.flatMap((b) => readings.map((c) => `${a} ${b} ${c}`)));
      // No vCPU is as it was before the move again.
      const possible = all.filter((three) => !/0:1.*0:0|1:1.*1:0/.test(three));
      assert.deepEqual([...results].sort(), possible);
    });
  }
});
