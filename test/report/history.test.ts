import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CHANGES_KEPT, History, SAMPLES_KEPT } from '../../src/report/history.ts';
import { lookAt, RECORD } from './looks.ts';

const near = (actual: number, expected: number, by: number) =>
  assert.ok(Math.abs(actual - expected) <= by, `${actual}, expected ${expected}`);

describe('History', () => {
  test('add() gives the sample of a look: time by record 0, offsets, uncertainty', () => {
    const { sample, changes } = new History().add(lookAt(4, 70n));
    assert.deepEqual(changes, []);
    assert.deepEqual(sample, {
      atMs: 2000,
      tsc: '2000000070',
      clockNs: '2000000070',
      rawNs: 70,
      monotonicNs: 70,
      uncertaintyNs: 50,
    });
  });

  test("add() takes each of the kernel's clocks by its own reading, and is as sure as the widest of them", () => {
    const look = lookAt(4, 70n);
    const [raw, monotonic] = look.pairings;
    const slewed = { ...monotonic!, kernelNs: monotonic!.kernelNs + 20n, widthNs: 300n };
    const { rawNs, monotonicNs, uncertaintyNs } = new History().add({ ...look, pairings: [raw!, slewed] }).sample;
    assert.deepEqual({ rawNs, monotonicNs, uncertaintyNs }, { rawNs: 70, monotonicNs: 50, uncertaintyNs: 150 });
  });

  test('add() gives a change of each record that was rewritten, and counts them by kind', () => {
    const history = new History();
    history.add(lookAt(0, 0n, [RECORD, RECORD]));
    const refreshed = { ...RECORD, version: 6, systemTime: 3n };
    const { changes } = history.add(lookAt(1, 0n, [refreshed, { ...RECORD, version: 8, flags: 0 }]));
    assert.deepEqual(changes, [
      { atMs: 500, vcpu: 0, kind: 'refresh', fromVersion: 4, toVersion: 6, jumpNs: 3 },
      { atMs: 500, vcpu: 1, kind: 'unstable', fromVersion: 4, toVersion: 8, jumpNs: 0 },
    ]);
    assert.deepEqual(history.changes, changes);
    assert.deepEqual([history.counts.refresh, history.counts.unstable, history.counts.restore], [1, 1, 0]);
  });

  test('add() takes a vCPU that was not there before for no change', () => {
    const history = new History();
    history.add(lookAt(0, 0n, [RECORD]));
    assert.deepEqual(history.add(lookAt(1, 0n, [RECORD, { ...RECORD, version: 2 }])).changes, []);
  });

  test('drift() is that of the clock over what was seen, and none before the second look', () => {
    const history = new History();
    history.add(lookAt(0));
    assert.deepEqual(history.drift(), []);
    for (let look = 1; look <= 20; look++) history.add(lookAt(look, BigInt(look) * 150n)); // 150 ns in 0.5 s: 0.3 ppm
    const [raw, monotonic] = history.drift();
    assert.deepEqual([raw?.against, monotonic?.against], ['CLOCK_MONOTONIC_RAW', 'CLOCK_MONOTONIC']);
    near(raw!.ppm, 0.3, 1e-6);
    near(raw!.uncertaintyPpm, 0.01, 1e-6);
    assert.equal(raw!.offsetNs, 3000);
  });

  test('drift() begins anew when the clock was set, and not when it was refreshed', () => {
    const history = new History();
    for (let look = 0; look < 10; look++) history.add(lookAt(look, BigInt(look) * 500n)); // 1 ppm
    const refreshed = { ...RECORD, version: 6 };
    history.add(lookAt(10, 5000n, [refreshed]));
    near(history.drift()[0]!.ppm, 1, 1e-6);
    const set = { ...RECORD, version: 8, systemTime: 1_000_000_000n };
    history.add(lookAt(11, 1_000_000_000n, [set]));
    assert.deepEqual(history.drift(), []);
    history.add(lookAt(12, 1_000_000_000n, [set]));
    near(history.drift()[0]!.ppm, 0, 1e-6);
  });

  test('drift() is over what is kept: a rate long past does not show', () => {
    const history = new History();
    for (let look = 0; look <= 100; look++) history.add(lookAt(look, BigInt(look) * 50_000n));
    for (let look = 101; look <= 100 + SAMPLES_KEPT; look++) history.add(lookAt(look, 5_000_000n));
    near(history.drift()[0]!.ppm, 0, 1e-6);
  });

  test('columns() and changes keep the latest and no more', () => {
    const history = new History();
    const looks = SAMPLES_KEPT + 7;
    for (let look = 0; look < looks; look++) {
      history.add(lookAt(look, BigInt(look), [{ ...RECORD, version: 4 + 2 * look }]));
    }
    const { atMs, rawNs, monotonicNs } = history.columns();
    for (const column of [atMs, rawNs, monotonicNs]) assert.equal(column.length, SAMPLES_KEPT);
    assert.equal(atMs.at(-1), (looks - 1) * 500);
    assert.equal(rawNs[0], 7);
    assert.equal(history.changes.length, CHANGES_KEPT);
    assert.equal(history.changes.at(-1)!.toVersion, 4 + 2 * (looks - 1));
    assert.equal(history.counts.refresh, looks - 1);
  });
});
