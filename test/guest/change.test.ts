import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pvti } from '../../src/abi/pvti.ts';
import { recordChange } from '../../src/guest/change.ts';

const GHZ = { tscToSystemMul: 0x80000000, tscShift: 1 }; // one cycle a nanosecond
const BASE: Pvti = { version: 4, tscTimestamp: 1000n, systemTime: 5000n, flags: 1, ...GHZ };
const at = (changes: Partial<Pvti>): Pvti => ({ ...BASE, version: 6, ...changes });

test('recordChange() is undefined when nothing was rewritten', () => {
  assert.equal(recordChange(BASE, { ...BASE }, 2000n), undefined);
});

test('recordChange() is a refresh, with its jump, when the line hardly moved', () => {
  const change = recordChange(BASE, at({ tscTimestamp: 3000n, systemTime: 7001n }), 4000n);
  assert.equal(change?.kind, 'refresh');
  assert.equal(change?.jumpNs, 1n);
});

test('recordChange() tells the kinds apart', () => {
  const kind = (changes: Partial<Pvti>, before = BASE) => recordChange(before, at(changes), 1_000_000n)?.kind;
  assert.equal(kind({ flags: 0 }), 'unstable');
  assert.equal(kind({ flags: 1 }, { ...BASE, flags: 0 }), 'stable');
  assert.equal(kind({ tscToSystemMul: 0x80000001 }), 'migration');
  assert.equal(kind({ tscShift: 0 }), 'migration');
  assert.equal(kind({ systemTime: 5000n + 1_000_000n }), 'restore');
  assert.equal(kind({ systemTime: 5000n - 1_000_000n }), 'restore');
  assert.equal(kind({ systemTime: 5000n + 999_999n }), 'refresh');
  assert.equal(kind({ flags: 3 }), 'paused');
});

test('recordChange() is a restore without a jump when the TSC went back behind the old base', () => {
  const change = recordChange(BASE, at({ tscTimestamp: 10n, systemTime: 5100n }), 500n);
  assert.equal(change?.kind, 'restore');
  assert.equal(change?.jumpNs, undefined);
});

test('recordChange() has a jump from the later of the two timestamps on', () => {
  const after = at({ tscTimestamp: 3000n, systemTime: 7000n });
  assert.equal(recordChange(BASE, after, 2999n)?.jumpNs, undefined);
  assert.equal(recordChange(BASE, after, 3000n)?.jumpNs, 0n);
  assert.equal(recordChange(after, { ...BASE, version: 8 }, 2999n)?.jumpNs, undefined);
  assert.equal(recordChange(after, { ...BASE, version: 8 }, 3000n)?.jumpNs, 0n);
});

test('recordChange() takes times mod 2^64: a jump is -2^63..2^63-1', () => {
  const jump = (from: bigint, to: bigint) =>
    recordChange({ ...BASE, systemTime: from }, at({ systemTime: to }), 1000n)?.jumpNs;
  assert.equal(jump(2n ** 64n - 1n, 2n ** 62n), 2n ** 62n + 1n);
  assert.equal(jump(2n ** 62n, 2n ** 64n - 1n), -(2n ** 62n) - 1n);
});

test('recordChange() sees a flag that was set without a new version', () => {
  assert.equal(recordChange(BASE, { ...BASE, flags: 3 }, 2000n)?.kind, 'paused');
});
