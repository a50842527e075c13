import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { imageFile, sparseFile, withRecords } from '../report/decode/image-files.ts';
import { MAIN, program } from './captured.ts';

describe('kvmclock, the program', () => {
  test('kvmclock answers bad input with one line on stderr, nothing on stdout and exit status 2', async () => {
    const { status, stdout, stderr } = await program(['decode', '/no/such/file']);
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.equal(
      stderr,
      'kvmclock decode: cannot open /no/such/file: there is no such file; give the path of a memory image or an ELF core\n',
    );
  });

  test('kvmclock prints no warning of Node, though node:ffi is experimental', async () => {
    const { status, stdout, stderr } = await program(['decode', '--json', sparseFile(1 << 20, [4096])]);
    assert.equal(status, 0);
    assert.equal(JSON.parse(stdout).records.length, 1);
    assert.equal(stderr, '');
  });

  test('kvmclock keeps silent, and its exit status, where nobody reads what it prints', async () => {
    const offsets = Array.from({ length: 1000 }, (_, index) => index * 64);
    const file = imageFile(withRecords(64_000, offsets));
    const { status, stdout, stderr } = await program(['decode', file], (child) => child.stdout?.destroy());
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
  });

  test('kvmclock ends by Ctrl-C at work, also where the work gives no other JavaScript a turn', async () => {
    const search = ['check', 'landed', '--threads', '3'];
    const file = imageFile(new Uint8Array(512 * 1024 * 1024).fill(0xff));
    for (const [argv, atWork] of [
      [['decode', file], (pid: number) => hasOpen(pid, file)],
      [search, (pid: number) => processorTicks(pid) > 100],
    ] as const) {
      const { status, signal, stdout, stderr } = await program(argv, (child) => {
        const poll = setInterval(() => {
          if (child.exitCode === null && !atWork(child.pid!)) return;
          clearInterval(poll);
          child.kill('SIGINT');
        }, 1);
      });
      assert.deepEqual({ status, signal, stdout, stderr }, { status: null, signal: 'SIGINT', stdout: '', stderr: '' });
    }
  });

  test('kvmclock says in one line that its output has no room', async (t) => {
    if (!existsSync('/dev/full')) return t.skip('no /dev/full, a disk that is always full');
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'vdso'], {
      encoding: 'utf8',
      stdio: ['ignore', full, 'pipe'],
    });
    closeSync(full);
    assert.equal(status, 2);
    assert.equal(
      stderr,
      'kvmclock: standard output cannot be written: the disk is full; make room or give another path\n',
    );
  });

  test('kvmclock colours what a terminal shows, shows progress there, and heeds NO_COLOR', (t) => {
    if (spawnSync('script', ['--version']).status !== 0)
      return t.skip('script(1), which gives a terminal, is not here');
    const file = imageFile(withRecords(4096, [64]));
    const onTerminal = (env: NodeJS.ProcessEnv) =>
      spawnSync('script', ['-qec', `"${process.execPath}" "${MAIN}" decode "${file}"`, '/dev/null'], {
        encoding: 'utf8',
        env: { ...process.env, TERM: 'xterm', NO_COLOR: '', ...env },
      }).stdout;
    const coloured = onTerminal({});
    assert.ok(coloured.includes('\x1b[1mrecord at 0x40\x1b[0m'), coloured);
    assert.match(coloured, /\r.*: \d+ %/);
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
      const plain = onTerminal(env);
      assert.match(plain, /record at 0x40\r?\n/);
      assert.ok(!plain.includes('\x1b[1m'), plain);
      assert.equal(plain.includes('\x1b'), env.TERM !== 'dumb'); // a line of progress is rewritten
    }
  });
});

/** Whether the process has the file open: it is at work on it then. */
function hasOpen(pid: number, file: string): boolean {
  const fds = `/proc/${pid}/fd`;
  try {
    return readdirSync(fds).some((fd) => readlinkSync(`${fds}/${fd}`) === file);
  } catch {
    return false; // a descriptor was closed between the two looks
  }
}

/** The processor time that a process has taken, in hundredths of a second; 0 once it is gone. */
function processorTicks(pid: number): number {
  try {
    const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
      .slice(11);
    return Number(user) + Number(system);
  } catch {
    return 0;
  }
}
