import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { SimulatedMachine, type StressOrder } from '../../src/machine/simulated/simulated.ts';
import type { Spread } from '../../src/report/statistics.ts';
import { liveHere } from '../machine/live-here.ts';
import { captured } from './captured.ts';

const MAIN = path.join(import.meta.dirname, '../../src/cli/main.ts');

function run(flags: readonly string[], ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, MAIN, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

const medianOf = (costs: readonly { name: string; ns: Spread }[], name: string): number =>
  costs.find((cost) => cost.name === name)!.ns.median;

const SPREAD = ['min', 'median', 'max'];

test('doctor --json prints one object with the documented keys, and its verdict is its exit status', (t) => {
  const live = liveHere(t);
  if (live === undefined) return;
  const before = live.vcpus().map(live.record);
  const { status, stdout, stderr } = run([], 'doctor', '--json');
  assert.equal(stderr, '');
  const report = JSON.parse(stdout);
  assert.equal(report.machine, 'live');
  assert.equal(status, { sound: 0, unsound: 1, unknown: 2 }[report.verdict as 'sound']);
  for (const record of report.records) {
    assert.deepEqual([typeof record.vcpu, typeof record.version, typeof record.flags], ['number', 'number', 'number']);
    assert.match(record.tscTimestamp, /^\d+$/);
    assert.match(record.systemTime, /^\d+$/);
    const own = live.record(record.vcpu);
    if (before[record.vcpu]?.version !== own.version) continue; // rewritten meanwhile
    assert.deepEqual([record.version, record.tscTimestamp], [own.version, String(own.tscTimestamp)]);
  }
  assert.deepEqual(report.readers.map(({ name }: { name: string }) => name).slice(0, 6), [
    'before',
    'rfc',
    'landed',
    'cached',
    'relaxed',
    'lfence-rdtsc',
  ]);
  for (const { ns } of [...report.readers, ...report.javascript]) assert.deepEqual(Object.keys(ns), SPREAD);
  assert.equal(report.warps.reads, 10_000_000);
  assert.deepEqual(
    report.drift.map(({ against }: { against: string }) => against),
    ['CLOCK_MONOTONIC_RAW', 'CLOCK_MONOTONIC'],
  );
  for (const name of ['vmclock', 'hypervPage']) {
    const { found, why } = report.neighbours[name];
    assert.ok(found === true || (found === false && typeof why === 'string'));
  }
});

test('the default command is doctor, without colour where there is no terminal', (t) => {
  if (liveHere(t) === undefined) return;
  const { status, stdout } = run([]);
  assert.ok(status === 0 || status === 1);
  assert.match(stdout, /^(sound: this clock can be trusted|NOT SOUND)\n/);
  assert.ok(!stdout.includes('\x1b'));
});

test('doctor says unknown, with the command that helps, and exits with 2 when this Node has no ffi', () => {
  const { status, stdout } = run(['--no-experimental-ffi'], 'doctor');
  assert.equal(status, 2);
  assert.match(stdout, /^unknown/);
  assert.match(stdout, /no node:ffi/);
  assert.match(stdout, /NODE_OPTIONS=--experimental-ffi kvmclock doctor/);
  assert.match(stdout, /\n {2}shown in its place: a simulated VM: /);
});

test('doctor --machine simulated exits with 0 where the clock is sound, and with 1 where time goes back', async (t) => {
  const doctor = () => captured(['doctor', '--machine', 'simulated', '--json']);
  const sound = await doctor();
  assert.deepEqual([sound.status, JSON.parse(sound.stdout).verdict], [0, 'sound']);
  const { stress } = SimulatedMachine.prototype;
  t.mock.method(SimulatedMachine.prototype, 'stress', async function (this: SimulatedMachine, order: StressOrder) {
    const counts = await stress.call(this, order);
    return { ...counts, readers: counts.readers.map((reader) => ({ ...reader, warps: 1, worstWarpNs: 40 })) };
  });
  const { status, stdout } = await doctor();
  const { verdict, faults, warps } = JSON.parse(stdout);
  assert.deepEqual([status, verdict], [1, 'unsound']);
  assert.deepEqual(faults, [`time went back between vCPUs in 1 of ${warps.reads} readings, by 40.0 ns at worst`]);
});

test('bench times the readers on a simulated VM when this Node has no ffi', () => {
  const { status, stdout } = run(['--no-experimental-ffi'], 'bench', '--rounds', '1', '--json');
  assert.equal(status, 0);
  const { machine, why, readers, javascript } = JSON.parse(stdout);
  assert.equal(machine, 'simulated');
  assert.match(why, /no node:ffi/);
  assert.equal(readers.at(-1).name, 'raw-tsc');
  assert.equal(javascript.length, 8);
});

test('bench --json prints one object with every reader and every call', (t) => {
  if (liveHere(t) === undefined) return;
  const { status, stdout, stderr } = run([], 'bench', '--rounds', '1', '--json');
  assert.deepEqual([status, stderr], [0, '']);
  const { machine, readers, javascript } = JSON.parse(stdout);
  assert.equal(machine, 'live');
  const names = [
    'before',
    'rfc',
    'landed',
    'cached',
    'relaxed',
    'lfence-rdtsc',
    'rdtscp',
    'rdtsc',
    'vdso-clock-gettime',
    'syscall-clock-gettime',
  ];
  assert.deepEqual(
    readers.map(({ name }: { name: string }) => name),
    names,
  );
  const floor = medianOf(readers, 'lfence-rdtsc');
  for (const { ns, toFloor } of readers) assert.equal(toFloor, ns.median / floor);
  const calls = [
    'now',
    'nowNs',
    'nowRelaxedNs',
    'hrtime.bigint',
    'hrtime.bigint-hoisted',
    'hrtime',
    'performance.now',
    'Date.now',
  ];
  assert.deepEqual(
    javascript.map(({ name }: { name: string }) => name),
    calls,
  );
  const [hrtime, hoisted] = ['hrtime.bigint', 'hrtime.bigint-hoisted'].map((name) => medianOf(javascript, name));
  for (const { ns, toHrtime, toHoisted } of javascript) {
    assert.deepEqual([toHrtime, toHoisted], [ns.median / hrtime!, ns.median / hoisted!]);
  }
});

test('bench refuses a number of rounds that is none, in one line', () => {
  for (const rounds of ['0', '1.5', 'many', '1001']) {
    const { status, stderr } = run([], 'bench', '--rounds', rounds);
    assert.equal(status, 2);
    assert.match(stderr, /^kvmclock bench: --rounds takes a whole number of 1\.\.1000, not "[^"]*"\n$/);
  }
});
