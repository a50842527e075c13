import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { READERS } from '../../src/guest/readers.ts';
import { SimulatedMachine } from '../../src/machine/simulated/simulated.ts';
import { benchSimulated } from '../../src/report/bench-simulated.ts';
import { type DoctorReport, examine } from '../../src/report/doctor.ts';
import { doctorText } from '../../src/report/doctor-text.ts';

const NAMES = [...Object.keys(READERS), 'clock-gettime', 'raw-tsc'];
const PLAIN = { write() {}, isTerminal: false, colour: false };

describe('examine() of the simulated machine', () => {
  let report: DoctorReport;
  const shown: string[] = [];
  before(async () => {
    report = await examine((doing) => shown.push(doing), 'simulated');
  });

  test('judges the simulated VM itself and finds it sound', () => {
    const { machine, standIn, verdict, faults } = report;
    assert.deepEqual(
      { machine, standIn, verdict, faults },
      { machine: 'simulated', standIn: undefined, verdict: 'sound', faults: [] },
    );
    assert.match(report.why, /^a simulated VM: \d vCPUs as threads of this process/);
    assert.deepEqual(shown.slice(0, 2), ['starting a simulated VM', 'timing the readers']);
  });

  test('decodes the records of all its vCPUs, which are stable and on one line', () => {
    assert.ok(report.records.length >= 2);
    report.records.forEach((record, vcpu) => {
      assert.deepEqual([record.vcpu, record.stable, record.paused, record.version % 2], [vcpu, true, false, 0]);
      assert.ok(Math.abs(record.apartNs) <= 1);
      assert.equal(record.tscKhz, 2_600_000);
      assert.ok(record.ageNs > 0 && record.ageNs < 60e9);
    });
  });

  test('times the readers over the bare simulated TSC', () => {
    assert.deepEqual(
      report.readers.map(({ name }) => name),
      NAMES,
    );
    const { ns, toFloor } = report.readers.at(-1)!;
    assert.equal(toFloor, 1);
    for (const reader of report.readers) assert.equal(reader.toFloor, reader.ns.median / ns.median);
  });

  test('compares readings on all vCPUs, and the clock with what it is counted from', () => {
    assert.ok(report.warps!.reads > 1000);
    assert.equal(report.warps!.warps, 0);
    const [drift] = report.drift;
    assert.equal(drift!.against, 'process.hrtime');
    assert.ok(Math.abs(drift!.ppm) <= drift!.uncertaintyPpm + 1);
  });

  test('says in its text what was looked at', () => {
    const text = doctorText(report, PLAIN);
    assert.match(text, /^sound: the simulated VM's clock can be trusted\n {2}a simulated VM: /);
    assert.match(text, /\na reading in TypeScript +ns +min +max +to the bare simulated TSC +to landed\n {2}before /);
  });

  test('a VM that stands in for a record is not this machine clock, whatever is found', () => {
    const standIn: DoctorReport = { ...report, verdict: 'unknown', why: 'no record', standIn: report.why };
    const text = doctorText(standIn, PLAIN);
    assert.match(text, /^unknown: .*\n {2}no record\n {2}shown in its place: a simulated VM: /);
  });
});

test('benchSimulated() takes turns and tells of every round', async () => {
  await using machine = await SimulatedMachine.start({ vcpus: 1 });
  const rounds: string[] = [];
  const costs = await benchSimulated(machine, { rounds: 2, warmUp: 1, calls: 100 }, (done, of) =>
    rounds.push(`${done}/${of}`),
  );
  assert.deepEqual(rounds, ['1/3', '2/3', '3/3']);
  assert.deepEqual(
    costs.map(({ name }) => name),
    NAMES,
  );
  for (const { ns } of costs) assert.ok(ns.min > 0 && ns.min <= ns.median && ns.median <= ns.max);
});
