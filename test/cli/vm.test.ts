import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { COMMANDS } from '../../src/cli/commands.ts';
import { dispatch } from '../../src/cli/dispatch.ts';
import { CASES } from '../../src/report/vm/conform.ts';
import { bootImage } from '../machine/kvm/boot-image.ts';
import { kvmTest } from '../machine/kvm/real-kvm.ts';

async function kvmclock(...argv: string[]) {
  let [stdout, stderr] = ['', ''];
  const output = (take: (text: string) => void) => ({ isTerminal: false, colour: false, write: take });
  const status = await dispatch(argv, COMMANDS, {
    stdout: output((text) => {
      stdout += text;
    }),
    stderr: output((text) => {
      stderr += text;
    }),
  });
  return { status, stdout, stderr };
}

async function json(status: number, ...argv: string[]) {
  const answer = await kvmclock(...argv, '--json');
  assert.equal(answer.stderr, '');
  assert.equal(answer.status, status);
  return JSON.parse(answer.stdout);
}

kvmTest('kvmclock vm bench --json has the readers, and what it costs the host', async () => {
  const { machine, clock, rounds, readers, host } = await json(0, 'vm', 'bench', '--rounds', '1', '--calls', '1000');
  assert.deepEqual({ machine, clock, rounds }, { machine: 'kvm', clock: 'kvm', rounds: 1 });
  for (const { name, ns, toFloor } of readers) {
    assert.equal(typeof name, 'string');
    assert.deepEqual(Object.keys(ns), ['min', 'median', 'max']);
    assert.ok(toFloor > 0);
  }
  assert.equal(host.update.vcpus, 8);
});

for (const [clock, status, stale] of [
  ['kvm', 1, 3],
  ['kvmclock', 0, 0],
] as const) {
  kvmTest(`kvmclock vm race --json counts the stale runs, and its status says so: ${clock}`, async () => {
    const race = await json(status, 'vm', 'race', '--runs', '3', '--update', 'set-clock', '--clock', clock);
    assert.deepEqual([race.clock, race.update, race.runs, race.stale], [clock, 'set-clock', 3, stale]);
    assert.equal(typeof race.worstErrorNs, 'number');
    assert.equal(race.steps.length, 5);
    assert.match(race.steps[0].records[0].systemTime, /^\d+$/);
    assert.equal(race.staleFor.length, 4);
  });
}

kvmTest('kvmclock vm stress --json has every count', async () => {
  const stress = await json(0, 'vm', 'stress', '--clock', 'kvmclock', '--seconds', '1');
  const { machine, clock, reader, vcpus, reads, updates, ...counts } = stress;
  assert.deepEqual(
    { machine, clock, reader, vcpus },
    { machine: 'kvm', clock: 'kvmclock', reader: 'landed', vcpus: 2 },
  );
  assert.ok(reads > 0 && updates > 0);
  for (const name of ['retries', 'torn', 'warps', 'stale', 'worstWarpNs', 'stalls', 'unstable']) {
    assert.equal(typeof counts[name], 'number', name);
  }
});

kvmTest("kvmclock vm stress's status says that record 0 is stale at times where KVM keeps the clock", async () => {
  let status: number | undefined;
  for (let tries = 0; tries < 20 && status !== 1; tries++) {
    const answer = await kvmclock('vm', 'stress', '--seconds', '1', '--json');
    const { torn, warps, stale } = JSON.parse(answer.stdout);
    ({ status } = answer);
    assert.equal(status, torn + warps + stale > 0 ? 1 : 0, `${torn} torn, ${warps} warps, ${stale} stale`);
  }
  assert.equal(status, 1);
});

for (const [kept, status] of [
  ['kvm', 1],
  ['kvmclock', 0],
] as const) {
  kvmTest(`kvmclock vm conform --json has a verdict for every case, and its status says so: ${kept}`, async () => {
    const { clock, cases } = await json(status, 'vm', 'conform', '--clock', kept);
    assert.equal(clock, kept);
    assert.equal(cases.length, CASES.length);
    for (const { name, verdict, promised, seen, figures, advice } of cases) {
      assert.ok(['kept', 'broken', 'trap'].includes(verdict), name);
      assert.ok(promised.length > 0 && seen.length > 0 && Object.keys(figures).length > 0, name);
      assert.equal(advice === null, verdict === 'kept', name);
    }
  });
}

async function withImage(body: (file: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-'));
  try {
    const file = path.join(folder, 'boot.elf');
    writeFileSync(file, bootImage({ hostSeconds: Math.floor(Date.now() / 1000), reads: 100 }));
    await body(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const clock of ['kvm', 'kvmclock']) {
  kvmTest(`kvmclock vm run prints what the image prints, and hands its status on: ${clock}`, () =>
    withImage(async (file) => {
      const argv = ['vm', 'run', file, '--smp', '2', '--memory', '4', '--clock', clock];
      assert.deepEqual(await kvmclock(...argv), { status: 1, stdout: 'PASS\n', stderr: '' });
      const { machine, vcpus, commandLine, status, value, serial } = await json(1, ...argv, '--append', '10 20');
      assert.deepEqual(
        { machine, vcpus, commandLine, status, value, serial },
        { machine: 'kvm', vcpus: 2, commandLine: 'boot 10 20', status: 1, value: 0, serial: 'PASS\n' },
      );
    }),
  );
}

kvmTest('kvmclock vm run says on one line why an image cannot be run, and what it would need', () =>
  withImage(async (file) => {
    const small = await kvmclock('vm', 'run', file, '--memory', '2', '--timeout', '1');
    assert.deepEqual([small.status, small.stdout], [2, '']);
    assert.match(
      small.stderr,
      /^kvmclock vm run: .*boot\.elf: vCPU 0 did not come out of the guest within 1000 ms; .*\n$/,
    );
    const text = await kvmclock('vm', 'run', 'package.json');
    assert.match(text.stderr, /^kvmclock vm run: package\.json cannot be run: it is no ELF file\n$/);
  }),
);

const REFUSED: [argv: string[], message: RegExp][] = [
  [['race', '--clock', 'xen'], /--clock takes kvm or kvmclock, not "xen"/],
  [['race', '--update', 'ahead'], /--update takes unstable, set-clock, not "ahead"/],
  [['race', '--runs', '0'], /--runs takes a whole number of 1\.\.1000000, not "0"/],
  [['stress', '--reader', 'raw'], /--reader takes before, rfc, landed, cached, relaxed, not "raw"/],
  [['stress', '--vcpus', '65'], /--vcpus takes a whole number of 1\.\.64, not "65"/],
  [['run'], /which image\? Give the path/],
  [['run', '/no/such/image'], /cannot read "\/no\/such\/image": there is no such file; give the path of an image/],
  [['run', '/dev/zero'], /cannot read "\/dev\/zero": it is no regular file/],
  [['run', 'x', '--smp', '256'], /--smp takes a whole number of 1\.\.255, not "256"/],
  [['run', 'x', '--memory', '1'], /--memory takes a whole number of 2\.\.3072, not "1"/],
];
for (const [argv, message] of REFUSED) {
  test(`kvmclock vm ${argv.join(' ')} is refused on one line`, async () => {
    const { status, stdout, stderr } = await kvmclock('vm', ...argv);
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(stderr, message);
    assert.equal(stderr.split('\n').length, 2);
  });
}
