import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import type { DoctorReport } from '../../src/report/doctor.ts';
import { TEXTFILE, writeTextfile } from '../../src/report/textfile.ts';
import { captured } from '../cli/captured.ts';
import { MEASURED } from './measured.ts';

const REPORT: DoctorReport = {
  machine: 'live',
  why: '',
  standIn: undefined,
  records: MEASURED.records,
  clocksource: undefined,
  readers: MEASURED.readers,
  javascript: [],
  warps: MEASURED.warps,
  brackets: undefined,
  drift: MEASURED.drift,
  verdict: 'sound',
  faults: [],
  advice: [],
  node: process.version,
  cpus: 2,
  clockNs: 0n,
  neighbours: undefined,
  uptimeNs: 0,
};

const parent = mkdtempSync(path.join(tmpdir(), 'kvmclock-textfile-'));
after(() => rmSync(parent, { recursive: true }));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(parent, 'folder-'));
});

const seriesValue = (name: string): number => {
  const text = readFileSync(path.join(folder, TEXTFILE), 'utf8');
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
};

describe('writeTextfile()', () => {
  test('writeTextfile() writes one file that everyone may read, and nothing besides', async () => {
    const file = await writeTextfile(folder, REPORT, '1.2.3');
    assert.equal(file, path.join(folder, 'kvmclock.prom'));
    assert.deepEqual(readdirSync(folder), ['kvmclock.prom']);
    assert.equal(statSync(file).mode & 0o777, 0o644);
    assert.match(readFileSync(file, 'utf8'), /^kvmclock_record_version\{vcpu="1"\} 5$/m);
  });

  test('writeTextfile() writes what everyone may read whatever the umask is', async () => {
    const umask = process.umask(0o077);
    try {
      assert.equal(statSync(await writeTextfile(folder, REPORT, '1.2.3')).mode & 0o777, 0o644);
    } finally {
      process.umask(umask);
    }
  });

  test('writeTextfile() puts a new file in the place of the old one: whoever has the old one open keeps all of it', async () => {
    const before = statSync(await writeTextfile(folder, REPORT, '1.2.3'));
    const after = statSync(await writeTextfile(folder, REPORT, '1.2.3'));
    assert.notEqual(before.ino, after.ino);
  });

  test('writeTextfile() goes on with the counts of the file before, and leaves the worst of all', async () => {
    await writeTextfile(folder, REPORT, '1.2.3');
    await writeTextfile(folder, { ...REPORT, warps: { reads: 10, warps: 1, stalls: 0, worstNs: 50 } }, '1.2.3');
    assert.equal(seriesValue('kvmclock_compared_reads_total'), 200_010);
    assert.equal(seriesValue('kvmclock_warps_total'), 4);
    assert.equal(seriesValue('kvmclock_stalls_total'), 4);
    assert.ok(Math.abs(seriesValue('kvmclock_worst_warp_seconds') - 250e-9) < 1e-15);
  });

  test('writeTextfile() says that no record was found, and nothing of the simulated VM that stands in for it', async () => {
    const text = readFileSync(
      await writeTextfile(folder, { ...REPORT, machine: 'simulated', standIn: 'a VM' }, '1.2.3'),
      'utf8',
    );
    assert.match(text, /^kvmclock_record_found 0$/m);
    assert.deepEqual(
      [...text.matchAll(/^kvmclock_\w+/gm)].map(([name]) => name),
      ['kvmclock_build_info', 'kvmclock_record_found'],
    );
  });

  test('doctor --textfile refuses a simulated machine', async () => {
    const { status, stderr } = await captured(['doctor', '--machine', 'simulated', '--textfile', folder]);
    assert.equal(status, 2);
    assert.match(
      stderr,
      /^kvmclock doctor: --textfile writes the metrics of this machine's own clock; leave --machine/,
    );
  });

  test('writeTextfile() begins at 0 when the file before is no such file', async () => {
    for (const text of ['', 'kvmclock_warps_total many\n', 'kvmclock_warps_total -3\n', '\0\0']) {
      writeFileSync(path.join(folder, TEXTFILE), text);
      await writeTextfile(folder, REPORT, '1.2.3');
      assert.equal(seriesValue('kvmclock_warps_total'), 3);
    }
  });

  test('writeTextfile() leaves nothing behind when it cannot put the file in place', async () => {
    mkdirSync(path.join(folder, TEXTFILE, 'in the way'), { recursive: true });
    await assert.rejects(writeTextfile(folder, REPORT, '1.2.3'), { code: /EISDIR|ENOTEMPTY|EEXIST/ });
    assert.deepEqual(readdirSync(folder), [TEXTFILE]);
  });

  test('doctor --textfile refuses at once what is no folder, in one line', async () => {
    for (const wrong of [path.join(folder, 'missing'), import.meta.filename]) {
      const { status, stdout, stderr } = await captured(['doctor', '--textfile', wrong]);
      assert.deepEqual([status, stdout], [2, '']);
      assert.match(stderr, /^kvmclock doctor: --textfile takes a folder that is there, not ".*"; make it first\n$/);
    }
    const long = await captured(['doctor', '--textfile', 'x'.repeat(300)]);
    assert.deepEqual([long.status, long.stdout], [2, '']);
    assert.match(
      long.stderr,
      /^kvmclock doctor: --textfile: cannot write into "x+": the name is too long; give a shorter/,
    );
  });
});
