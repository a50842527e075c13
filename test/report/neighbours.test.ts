import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VMCLOCK_STATUS, VMCLOCK_TIME } from '../../src/abi/vmclock.ts';
import type { VmclockTime } from '../../src/guest/vmclock.ts';
import type { VmclockDevice } from '../../src/machine/neighbours.ts';
import { lookAtNeighbours, neighbourLines } from '../../src/report/neighbours.ts';

const TIME: VmclockTime = {
  sec: 1_700_000_000n,
  fracSec: 1n << 63n,
  timeType: VMCLOCK_TIME.UTC,
  taiOffsetSec: 0,
  flags: 0n,
  status: VMCLOCK_STATUS.SYNCHRONIZED,
  leapIndicator: 0,
  maxErrorNs: 250n,
  disruptionMarker: 3n,
  vmGenerationCounter: 1n,
};
const UTC_NS = 1_700_000_000_500_000_000n;
const NONE = { unavailable: 'there is none' };

function device(time: VmclockTime | undefined): VmclockDevice & { closed: number } {
  return {
    closed: 0,
    read: () => time,
    close() {
      this.closed++;
    },
  };
}

/** CLOCK_REALTIME, 100 ns on at every reading. */
function realtime(): () => bigint {
  let ns = UTC_NS - 1_200n;
  return () => {
    ns += 100n;
    return ns;
  };
}

describe('lookAtNeighbours()', () => {
  test('says why there is none, and the text has no line for it', () => {
    const neighbours = lookAtNeighbours(realtime(), NONE, NONE);
    const missing = { found: false, why: 'there is none' };
    assert.deepEqual(neighbours, { vmclock: missing, hypervPage: missing });
    assert.deepEqual(neighbourLines(neighbours), []);
  });

  test("reads VMClock between two readings of CLOCK_REALTIME and closes it, and Hyper-V's page in ns", () => {
    const vmclock = device(TIME);
    const neighbours = lookAtNeighbours(realtime(), vmclock, { read: () => 30_000_000_000n });
    assert.equal(vmclock.closed, 1);
    assert.deepEqual(neighbours, {
      vmclock: {
        found: true,
        utcNs: UTC_NS,
        offsetNs: 1050,
        uncertaintyNs: 50,
        status: 'synchronized',
        maxErrorNs: 250n,
        leapIndicator: 0,
        disruptionMarker: 3n,
        vmGenerationCounter: 1n,
      },
      hypervPage: { found: true, ns: 3_000_000_000_000n },
    });
    assert.deepEqual(neighbourLines(neighbours), [
      'VMClock: synchronized, 1.05 us from CLOCK_REALTIME, +- 50.0 ns; off by 250 ns at most; disruption marker 3',
      "Hyper-V's TSC page: 50 min 0 s",
    ]);
  });

  test('has no time where a page says that it has none, and no difference to another epoch', () => {
    const silent = lookAtNeighbours(realtime(), device(undefined), { read: () => undefined });
    assert.deepEqual(neighbourLines(silent), ['VMClock: its time is not to be used', "Hyper-V's TSC page: not valid"]);
    const other = { ...TIME, timeType: VMCLOCK_TIME.MONOTONIC, status: 77, maxErrorNs: undefined };
    assert.deepEqual(neighbourLines(lookAtNeighbours(realtime(), device(other), NONE)), [
      'VMClock: 77, another epoch than 1970; its error unknown; disruption marker 3',
    ]);
  });
});
