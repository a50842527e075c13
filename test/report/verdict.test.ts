import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clocksourceMeaning, type Findings, judge } from '../../src/report/verdict.ts';

const spread = (median: number) => ({ min: median, median, max: median });
const GOOD: Findings = {
  machine: 'live',
  why: 'a test',
  standIn: undefined,
  records: [0, 1].map((vcpu) => ({ vcpu, stable: true, paused: false, apartNs: vcpu })),
  clocksource: { current: 'tsc', available: ['tsc', 'kvm-clock'] },
  readers: [
    { name: 'landed', ns: spread(14), toFloor: 1.1 },
    { name: 'vdso-clock-gettime', ns: spread(16), toFloor: 1.3 },
  ],
  warps: { reads: 1000, warps: 0, worstNs: 0, stalls: 0 },
  brackets: { readings: 1000, outside: 0, worstNs: 0 },
  drift: [{ against: 'CLOCK_MONOTONIC_RAW', ppm: -0.2, uncertaintyPpm: 0.3 }],
};
const judged = (changes: Partial<Findings>) => judge({ ...GOOD, ...changes });

test('judge() says sound when nothing is wrong, and what a reading costs', () => {
  const { verdict, faults, advice } = judge(GOOD);
  assert.deepEqual({ verdict, faults }, { verdict: 'sound', faults: [] });
  assert.match(advice.join(), /in 14\.0 ns \(the vDSO takes 16\.0 ns\)/);
});

test('judge() says unsound, and why, for each thing that can be wrong', () => {
  const unstable = [
    { vcpu: 0, stable: true, paused: false, apartNs: 0 },
    { vcpu: 1, stable: false, paused: false, apartNs: 0 },
  ];
  const apart = [
    { vcpu: 0, stable: true, paused: false, apartNs: 0 },
    { vcpu: 1, stable: true, paused: false, apartNs: -5000 },
  ];
  const cases: [Partial<Findings>, RegExp][] = [
    [{ records: unstable }, /not stable \(vCPU 1\)/],
    [{ records: apart }, /5\.00 us apart/],
    [
      { warps: { reads: 1000, warps: 3, worstNs: 250, stalls: 0 } },
      /went back between vCPUs in 3 of 1000 readings, by 250 ns/,
    ],
    [{ brackets: { readings: 1000, outside: 1, worstNs: 40 } }, /1 of 1000 readings lay outside/],
    [{ drift: [{ against: 'CLOCK_MONOTONIC_RAW', ppm: -180, uncertaintyPpm: 1 }] }, /drifts by -180 ppm/],
  ];
  for (const [changes, fault] of cases) {
    const { verdict, faults } = judged(changes);
    assert.equal(verdict, 'unsound');
    assert.match(faults.join(), fault);
  }
});

test('judge() holds no record that is not stable against the others', () => {
  const records = GOOD.records.map((record) => ({ ...record, stable: false, apartNs: 5000 * record.vcpu }));
  assert.deepEqual(judged({ records }).faults, ['the hypervisor says that the clock is not stable (vCPU 0, 1)']);
});

test('judge() takes a single warp for a fault, and says what to do until the host is mended', () => {
  const { verdict, advice } = judged({ warps: { reads: 1000, warps: 1, worstNs: 1, stalls: 0 } });
  assert.equal(verdict, 'unsound');
  assert.match(advice.join(), /pin what compares times to one vCPU/);
  assert.doesNotMatch(judge(GOOD).advice.join(), /pin/);
});

test('judge() does not take drift within its uncertainty, or against a slewed clock, for a fault', () => {
  assert.equal(judged({ drift: [{ against: 'CLOCK_MONOTONIC_RAW', ppm: 150, uncertaintyPpm: 60 }] }).verdict, 'sound');
  assert.equal(judged({ drift: [{ against: 'CLOCK_MONOTONIC', ppm: 400, uncertaintyPpm: 1 }] }).verdict, 'sound');
});

test('judge() judges a simulated VM by its own checks when that is what was asked for', () => {
  assert.equal(judged({ machine: 'simulated' }).verdict, 'sound');
  const drifting = { against: 'process.hrtime', ppm: 150, uncertaintyPpm: 1 };
  assert.equal(judged({ machine: 'simulated', drift: [drifting] }).verdict, 'unsound');
});

test('judge() says unknown when there is no record, with the advice that would change it', () => {
  const { verdict, advice } = judged({
    machine: 'simulated',
    standIn: 'a VM',
    records: [],
    readers: [],
    runtimeAdvice: 'take another Node',
  });
  assert.equal(verdict, 'unknown');
  assert.deepEqual(advice, ['take another Node']);
});

test('judge() advises on a slow clocksource, with the faster ones where there are any', () => {
  const slow = judged({ clocksource: { current: 'acpi_pm', available: ['tsc', 'acpi_pm'] } });
  assert.match(slow.advice.join('\n'), /acpi_pm costs a system call a reading; tsc is available/);
  const none = judged({ clocksource: { current: 'hpet', available: ['hpet'] } });
  assert.match(none.advice.join('\n'), /no faster one is available/);
});

test('judge() explains a note that the vCPU was stopped', () => {
  const { verdict, advice } = judged({ records: [{ vcpu: 0, stable: true, paused: true, apartNs: 0 }] });
  assert.equal(verdict, 'sound');
  assert.match(advice.join('\n'), /paused or restored/);
});

test('clocksourceMeaning() knows what the vDSO can read', () => {
  assert.match(clocksourceMeaning('kvm-clock'), /record 0/);
  assert.match(clocksourceMeaning('xen'), /every clock_gettime is a system call/);
});
