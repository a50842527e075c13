import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeStruct } from '../../src/abi/struct.ts';
import { WALL_CLOCK, WALL_CLOCK_LAYOUT } from '../../src/abi/wall-clock.ts';
import { readWallClock } from '../../src/guest/wall-clock.ts';
import { ScriptedCpu, SEC_HI, WALL } from './scripted-cpu.ts';

type ReadWallClock = typeof readWallClock;

const store = (cpu: ScriptedCpu, version: number, sec: number, nsec: number) =>
  encodeStruct(WALL_CLOCK_LAYOUT, { version, sec, nsec }, cpu.memory, WALL);

/** Every way in which an update from 1.9 s to 2.1 s, in two halves, can fall into a read. */
function checkUpdates(read: ReadWallClock): void {
  for (let begin = 1; begin <= 20; begin++) {
    for (let end = begin; end <= 20; end++) {
      const cpu = new ScriptedCpu();
      store(cpu, 2, 1, 900_000_000);
      cpu.before(begin, () => store(cpu, 3, 2, 900_000_000)).before(end, () => store(cpu, 4, 2, 100_000_000));
      const ns = read(cpu, WALL);
      assert.ok(ns === 1_900_000_000n || ns === 2_100_000_000n, `update before operations ${begin} and ${end}: ${ns}`);
    }
  }
}

describe('readWallClock()', () => {
  test('readWallClock() gives nanoseconds from 1970, through version, seconds, nanoseconds and version', () => {
    const cpu = new ScriptedCpu();
    store(cpu, 2, 0xffff_ffff, 999_999_999);
    assert.equal(readWallClock(cpu, WALL), 0xffff_ffffn * 1_000_000_000n + 999_999_999n);
    assert.deepEqual(cpu.log, [
      'load32 0x20',
      'readBarrier',
      'load32 0x24',
      'load32 0x28',
      'readBarrier',
      'load32 0x20',
    ]);
  });

  test('readWallClock() takes the high word of the seconds from where it is told', () => {
    const cpu = new ScriptedCpu();
    store(cpu, 2, 5, 7);
    cpu.memory.setUint32(SEC_HI, 1, true);
    assert.equal(readWallClock(cpu, WALL, SEC_HI), (2n ** 32n + 5n) * 1_000_000_000n + 7n);
  });

  test('readWallClock() goes round again, with a relax(), while the version is odd', () => {
    const cpu = new ScriptedCpu();
    store(cpu, 3, 1, 0);
    cpu.before(20, () => store(cpu, 4, 2, 5));
    assert.equal(readWallClock(cpu, WALL), 2_000_000_005n);
    assert.ok(cpu.log.slice(0, 19).includes('relax'), 'while the version is odd');
  });

  test('readWallClock() gives one of the two times wherever an update falls', () => checkUpdates(readWallClock));

  test('that check catches a reader that compares the versions only, and so accepts an odd one', () => {
    const oddAccepted: ReadWallClock = (cpu, wall) => {
      for (;;) {
        const version = cpu.load32(wall + WALL_CLOCK.version);
        const sec = cpu.load32(wall + WALL_CLOCK.sec);
        const nsec = cpu.load32(wall + WALL_CLOCK.nsec);
        if (cpu.load32(wall + WALL_CLOCK.version) === version) return BigInt(sec) * 1_000_000_000n + BigInt(nsec);
        cpu.relax();
      }
    };
    assert.throws(() => checkUpdates(oddAccepted), /update before operations/);
  });
});
