import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PVTI } from '../../src/abi/pvti.ts';
import { readBegin, signed8 } from '../../src/guest/sequence.ts';
import { snapshot } from '../../src/guest/snapshot.ts';
import { MOVED } from './interleavings.ts';
import { beginUpdate, RECORDS, rewrite, ScriptedCpu, STABLE } from './scripted-cpu.ts';

type Snapshot = typeof snapshot;

/** Every way in which an update, in two halves, can fall into a look. */
function checkOneUpdate(look: Snapshot): void {
  for (let begin = 1; begin <= 30; begin++) {
    for (let end = begin; end <= 30; end++) {
      const cpu = new ScriptedCpu(STABLE);
      cpu.before(begin, () => beginUpdate(cpu, MOVED)).before(end, () => rewrite(cpu, MOVED));
      const record = look(cpu, RECORDS);
      assert.deepEqual(record, record.version === STABLE.version ? STABLE : MOVED, `update before ${begin} and ${end}`);
    }
  }
}

describe('snapshot()', () => {
  test('snapshot() reads every field between two looks at the version, a barrier inside of each', () => {
    const record = { ...MOVED, tscShift: -128, flags: 0xff, systemTime: (1n << 64n) - 1n };
    const cpu = new ScriptedCpu(record);
    assert.deepEqual(snapshot(cpu, RECORDS), record);
    assert.deepEqual(cpu.log.slice(0, 2), ['load32 0.version', 'readBarrier']);
    assert.deepEqual(cpu.log.slice(2, -2).toSorted(), [
      ...['load32 0.tscToSystemMul', 'load64 0.systemTime', 'load64 0.tscTimestamp'],
      ...['load8 0.flags', 'load8 0.tscShift'],
    ]);
    assert.deepEqual(cpu.log.slice(-2), ['readBarrier', 'load32 0.version']);
  });

  test('snapshot() gives all fields from one update, wherever it falls', () => checkOneUpdate(snapshot));

  test('that check catches a look that does not go round again', () => {
    const once: Snapshot = (cpu, pvti) => ({
      version: readBegin(cpu, pvti),
      tscTimestamp: cpu.load64(pvti + PVTI.tscTimestamp),
      systemTime: cpu.load64(pvti + PVTI.systemTime),
      tscToSystemMul: cpu.load32(pvti + PVTI.tscToSystemMul),
      tscShift: signed8(cpu.load8(pvti + PVTI.tscShift)),
      flags: cpu.load8(pvti + PVTI.flags),
    });
    assert.throws(() => checkOneUpdate(once), /update before/);
  });

  test('snapshot() goes round again, with a relax(), while the version is odd', () => {
    const cpu = new ScriptedCpu({ ...STABLE, version: 5 });
    cpu.before(20, () => rewrite(cpu, MOVED));
    assert.deepEqual(snapshot(cpu, RECORDS), MOVED);
    assert.ok(cpu.log.slice(0, 19).includes('relax'), 'while the version is odd');
  });
});
