import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { captured } from './captured.ts';

describe('kvmclock bench --machine simulated', () => {
  test('--json prints one object: readers in TypeScript, publishing by the number of vCPUs, a day of refreshes, migrations', async () => {
    const { status, stdout, stderr } = await captured(['bench', '--machine', 'simulated', '--rounds', '1', '--json']);
    assert.deepEqual([status, stderr], [0, '']);
    const { machine, readers, javascript, publish, refresh, migrations } = JSON.parse(stdout);
    assert.deepEqual([machine, javascript], ['simulated', []]);
    assert.deepEqual(
      readers.map(({ name }: { name: string }) => name),
      ['before', 'rfc', 'landed', 'cached', 'relaxed', 'freebsd', 'clock-gettime', 'raw-tsc'],
    );
    for (const { ns } of readers) assert.deepEqual(Object.keys(ns), ['min', 'median', 'max']);
    assert.ok(publish.publishNs.median > 0);
    assert.deepEqual(
      publish.updates.map(({ vcpus }: { vcpus: number }) => vcpus),
      [1, 16, 64, 256, 1024],
    );
    for (const { rates, flavours } of refresh) {
      assert.ok(['one', 'changing'].includes(rates));
      const [kvm, ours] = flavours;
      assert.deepEqual([kvm.flavour, ours.flavour, ours.refreshes], ['kvm', 'kvmclock', 1000]);
      assert.ok(kvm.stepsBack > 0);
      assert.deepEqual([ours.stepsBack, ours.worstBackNs], [0, '0']);
    }
    assert.equal(migrations.length, 8);
    for (const { flavour, migrations: moves, atOnce, aDayLater } of migrations) {
      assert.equal(moves, 1000);
      if (flavour === 'kvmclock') assert.deepEqual([atOnce.leastNs, aDayLater.leastNs], ['0', '-1']);
      else assert.ok(Number(aDayLater.mostNs) - Number(aDayLater.leastNs) > 1_000_000);
    }
  });

  test('prints the same for people', async () => {
    const { status, stdout } = await captured(['bench', '--machine', 'simulated', '--rounds', '1']);
    assert.equal(status, 0);
    assert.match(stdout, /^a simulated VM: /);
    assert.match(stdout, /\npublish one record from TypeScript: /);
    assert.match(stdout, /\n1 024 +/);
    assert.match(stdout, /\nkvmclock +1 000 +/);
    assert.match(stdout, /\nkvmclock +save, restore +its first +/);
  });

  test('--stress --json prints the counts, and exits with 0 where nothing was torn, stale or behind', async () => {
    const { status, stdout, stderr } = await captured(['bench', '--machine', 'simulated', '--stress', '1', '--json']);
    assert.deepEqual([status, stderr], [0, '']);
    const report = JSON.parse(stdout);
    const { machine, flavour, host, writer, base, update, vcpus, torn, stale, warps } = report;
    assert.deepEqual(
      { machine, flavour, host, writer, base, update, vcpus, torn, stale, warps },
      {
        machine: 'simulated',
        flavour: 'kvmclock',
        host: 'record0',
        writer: 'today',
        base: 'continuous',
        update: 'refresh',
        vcpus: 2,
        torn: 0,
        stale: 0,
        warps: 0,
      },
    );
    assert.ok(report.reads > 0 && report.updates > 0);
    assert.deepEqual(
      report.readers.map(({ name }: { name: string }) => name),
      ['landed', 'cached', 'before'],
    );
  });

  test('--stress takes other policies, updates and readers, and its exit status is what it found', async () => {
    const options = ['--host', 'kvm', '--writer', '2015', '--base', 'kvm', '--update', 'ahead', '--vcpus', '3'];
    const readers = ['--reader', 'landed', '--reader', 'clock-gettime'];
    const argv = ['bench', '--machine', 'simulated', '--stress', '1', '--flavour', 'kvm', ...options, ...readers];
    const { status, stdout } = await captured([...argv, '--json']);
    const report = JSON.parse(stdout);
    assert.deepEqual(
      [report.flavour, report.host, report.writer, report.base, report.update, report.vcpus],
      ['kvm', 'kvm', '2015', 'kvm', 'ahead', 3],
    );
    assert.deepEqual(
      report.readers.map(({ name }: { name: string }) => name),
      ['landed', 'clock-gettime'],
    );
    assert.equal(status, report.torn + report.stale + report.warps > 0 ? 1 : 0);
  });

  test('bad options get one line', async () => {
    const cases: [string[], RegExp][] = [
      [['--machine', 'kvm'], /--machine takes live, simulated, not "kvm"/],
      [['--stress', '5'], /--stress is for --machine simulated; on real vCPUs it is kvmclock vm stress/],
      [['--machine', 'simulated', '--host', 'all'], /--host is for --stress SECONDS, which is not given/],
      [['--machine', 'simulated', '--stress', '0'], /--stress takes a whole number of 1\.\.86400, not "0"/],
      [
        ['--machine', 'simulated', '--stress', '1', '--host', 'some'],
        /--host takes none, kvm, record0, all, not "some"/,
      ],
      [['--machine', 'simulated', '--stress', '1', '--rounds', '2'], /--rounds changes nothing with --stress/],
      [['--machine', 'simulated', '--stress', '1', '--clocks'], /--clocks is for --machine live/],
      [['--machine', 'simulated', '--stress', '1', '--reader', 'x'], /--reader takes before, .*, not "x"/],
      [['--machine', 'simulated', '--stress', '1', '--flavour', 'xen'], /--flavour takes kvmclock, .*, not "xen"/],
      [
        ['--machine', 'simulated', '--stress', '1', '--vcpus', '65'],
        /--vcpus takes a whole number of 1\.\.64, not "65"/,
      ],
      [
        ['--machine', 'simulated', '--stress', '1', '--update', 'unstable', '--vcpus', '1'],
        /--update unstable takes --vcpus 2 or more: a single TSC matches itself/,
      ],
    ];
    for (const [argv, complaint] of cases) {
      const { status, stdout, stderr } = await captured(['bench', ...argv]);
      assert.deepEqual([status, stdout], [2, '']);
      assert.match(stderr, complaint);
      assert.match(stderr, /^kvmclock bench: .*\n$/);
    }
  });
});

describe('kvmclock doctor --machine simulated', () => {
  test('judges the simulated VM, as text and as JSON', async () => {
    const { status, stdout, stderr } = await captured(['doctor', '--machine', 'simulated', '--json']);
    assert.deepEqual([status, stderr], [0, '']);
    const { machine, verdict, standIn, records, brackets, clockNs } = JSON.parse(stdout);
    assert.deepEqual(
      { machine, verdict, standIn, brackets, clockNs },
      { machine: 'simulated', verdict: 'sound', standIn: null, brackets: null, clockNs: null },
    );
    assert.ok(records.length >= 2);
  });
});
