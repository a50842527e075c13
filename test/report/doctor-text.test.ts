import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { recordReport } from '../../src/guest/record-report.ts';
import type { DoctorReport } from '../../src/report/doctor.ts';
import { doctorText } from '../../src/report/doctor-text.ts';
import { RECORD } from './looks.ts';

const PLAIN = { write() {}, isTerminal: false, colour: false };
const MINUTE = 60_000_000_000n;
/** The second was stopped, is not stable, and stands 250 ns behind the first. */
const RECORDS = [RECORD, { ...RECORD, version: 8, systemTime: -250n, flags: 2 }];

const REPORT: DoctorReport = {
  machine: 'live',
  why: 'a test',
  standIn: undefined,
  records: RECORDS.map((record, vcpu) => recordReport(vcpu, record, RECORD, MINUTE)),
  clocksource: { current: 'tsc', available: ['tsc', 'kvm-clock'] },
  readers: [],
  javascript: [],
  warps: { reads: 12_000, warps: 3, worstNs: 250, stalls: 0 },
  brackets: { readings: 5_000, outside: 7, worstNs: 40 },
  drift: [{ against: 'CLOCK_MONOTONIC_RAW', ppm: -0.284, uncertaintyPpm: 0.351, offsetNs: 0 }],
  verdict: 'unsound',
  faults: ['a fault', 'another'],
  advice: ['some advice'],
  node: 'v26.10.0',
  cpus: 2,
  clockNs: MINUTE,
  uptimeNs: 30e9,
  neighbours: undefined,
};

const rowsOf = (text: string, first: string): string[] =>
  text.split('\n').filter((line) => line.trimStart().startsWith(first));

describe('doctorText()', () => {
  test('doctorText() begins with the verdict, why it was looked there, and every fault', () => {
    assert.match(doctorText(REPORT, PLAIN), /^NOT SOUND\n {2}a test\n {2}a fault\n {2}another\n/);
    assert.match(doctorText({ ...REPORT, verdict: 'sound', faults: [] }, PLAIN), /^sound: this clock can be trusted\n/);
  });

  test('doctorText() has a row for each record: version, stability, rate, age, whether it was stopped, how far apart', () => {
    const text = doctorText(REPORT, PLAIN);
    assert.match(rowsOf(text, '0 ')[0]!, /^ *0 +4 +yes +1000\.000 MHz +1 min 0 s ago +no +0 ns$/);
    assert.match(rowsOf(text, '1 ')[0]!, /^ *1 +8 +NO +1000\.000 MHz +1 min 0 s ago +yes, unseen +-250 ns$/);
    assert.match(text, /\nthe VM's clock reads 1 min 0 s; this kernel has been up 30\.0 s\n/);
    assert.match(text, /\nclocksource tsc \(available: tsc, kvm-clock\): the vDSO reads the bare TSC\n/);
    assert.ok(!doctorText({ ...REPORT, records: [] }, PLAIN).includes('vCPU  version'));
  });

  test('doctorText() says what was counted and measured, and what to do', () => {
    const text = doctorText(REPORT, PLAIN);
    assert.match(text, /\n {2}12 000 readings on all vCPUs at once: 3 warps \(250 ns back at worst\)\n/);
    assert.match(text, /\n {2}5 000 readings between two others: 7 outside\n/);
    assert.match(text, /\n {2}drift against CLOCK_MONOTONIC_RAW: -0\.28 ppm, \+- 0\.35\n/);
    assert.match(text, /\nadvice\n {2}some advice\n$/);
    const none = { ...REPORT, warps: { ...REPORT.warps!, warps: 0, worstNs: 0 } };
    assert.match(doctorText(none, PLAIN), /: 0 warps \(time never went back\)\n/);
  });
});
