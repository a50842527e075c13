import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pvti } from '../../src/abi/pvti.ts';
import { recordReport } from '../../src/guest/record-report.ts';

const FIRST: Pvti = {
  version: 4,
  tscTimestamp: 1000n,
  systemTime: 5000n,
  tscToSystemMul: 0x80000000,
  tscShift: 1, // one cycle a nanosecond
  flags: 1,
};

test('recordReport() gives the flags, the age of the base and the distance from record 0', () => {
  const record = { ...FIRST, version: 8, tscTimestamp: 2000n, systemTime: 6007n, flags: 3 };
  const report = recordReport(1, record, FIRST, 10_000n);
  assert.deepEqual(report, {
    ...record,
    vcpu: 1,
    stable: true,
    paused: true,
    apartNs: 7,
    tscKhz: 1_000_000,
    ageNs: 8000,
  });
});

test('recordReport() gives a distance below 0 when the record is behind record 0', () => {
  const report = recordReport(1, { ...FIRST, systemTime: 4990n, flags: 0 }, FIRST, 10_000n);
  assert.deepEqual([report.apartNs, report.stable, report.paused], [-10, false, false]);
});

test('recordReport() takes times mod 2^64: a distance is -2^63..2^63-1', () => {
  const apart = (systemTime: bigint, first: bigint) =>
    recordReport(1, { ...FIRST, systemTime }, { ...FIRST, systemTime: first }, 1000n).apartNs;
  assert.equal(apart(2n ** 64n - 10n, 0n), -10);
  assert.equal(apart(0n, 2n ** 64n - 10n), 10);
  assert.equal(apart(2n ** 62n, 0n), 2 ** 62);
});

test('recordReport() knows no rate when the multiplier is 0', () => {
  assert.equal(recordReport(0, { ...FIRST, tscToSystemMul: 0 }, FIRST, 10_000n).tscKhz, undefined);
});
