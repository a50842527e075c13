import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWhole, type StressOptions, type StressReport, stress } from '../../src/report/stress.ts';
import { stressText } from '../../src/report/stress-text.ts';

const OPTIONS: StressOptions = {
  flavour: 'kvmclock',
  update: 'refresh',
  vcpus: 2,
  readers: ['landed', 'before'],
  seconds: 60,
  mostUpdates: 500,
};
const PLAIN = { write() {}, isTerminal: false, colour: false };
const SUMS = ['reads', 'unstable', 'retries', 'torn', 'stale', 'warps', 'stalls'] as const;

test('stress() reports what was run and sums over the readers', async () => {
  const report = await stress(OPTIONS);
  const { flavour, host, writer, base, update, vcpus } = report;
  assert.deepEqual(
    { flavour, host, writer, base, update, vcpus },
    { flavour: 'kvmclock', host: 'record0', writer: 'today', base: 'continuous', update: 'refresh', vcpus: 2 },
  );
  assert.deepEqual(
    report.readers.map(({ name }) => name),
    ['landed', 'before'],
  );
  assert.ok(report.updates >= 500 && report.seconds > 0 && report.seconds < 60);
  for (const key of SUMS) assert.equal(report[key], report.readers[0]![key] + report.readers[1]![key]);
  assert.ok(report.reads > 0);
  assert.equal(isWhole(report), true);
});

test('stress() puts host, writer and base in the place of the flavour own', async () => {
  const changed = { ...OPTIONS, mostUpdates: 1, host: 'none', writer: 'xen', base: 'kvm' } as const;
  const { host, writer, base } = await stress(changed);
  assert.deepEqual({ host, writer, base }, { host: 'none', writer: 'xen', base: 'kvm' });
  const own = await stress({ ...OPTIONS, flavour: 'kvm-2015', mostUpdates: 1 });
  assert.deepEqual([own.host, own.writer, own.base], ['kvm', '2015', 'kvm']);
});

const COUNTS = { reads: 10, unstable: 2, retries: 3, torn: 0, stale: 0, warps: 0, worstWarpNs: 0, stalls: 1 };

test('isWhole() is false for one torn reading, one stale reading, or one warp', () => {
  assert.equal(isWhole(COUNTS), true);
  for (const count of ['torn', 'stale', 'warps']) assert.equal(isWhole({ ...COUNTS, [count]: 1 }), false);
});

test('stressText() has a row for each reader and one for all, faults in red', () => {
  const report: StressReport = {
    ...COUNTS,
    flavour: 'kvm',
    host: 'kvm',
    writer: 'today',
    base: 'kvm',
    update: 'ahead',
    vcpus: 2,
    seconds: 1.5,
    updates: 1234,
    reads: 30,
    stale: 5,
    warps: 4,
    worstWarpNs: 1500,
    readers: [
      { ...COUNTS, name: 'landed', stale: 5, warps: 4, worstWarpNs: 1500 },
      { ...COUNTS, name: 'before', reads: 20 },
    ],
  };
  const text = stressText(report, PLAIN);
  assert.match(text, /^a simulated VM of the flavour kvm: freeze kvm, writer today, base kvm\n/);
  assert.match(text, /2 vCPUs read while the host makes 1 234 updates \(ahead\) in 1\.5 s/);
  assert.match(text, /\n {2}landed +10 +3 +2 +1 +0 +5 +4 +1\.50 us\n/);
  assert.match(text, /\n {2}before +20 +3 +2 +1 +0 +0 +0\n/);
  assert.match(text, /\n {2}all +30 +3 +2 +1 +0 +5 +4 +1\.50 us\n$/);
  const coloured = stressText(report, { ...PLAIN, colour: true });
  assert.ok(coloured.includes('\x1b[31m5\x1b[0m') && !coloured.includes('\x1b[31m0'));
});
