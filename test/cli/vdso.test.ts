import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { clockCode, DATA_BYTES } from '../../src/vdso/clock.ts';
import { headerText } from '../../src/vdso/header.ts';
import { buildImage } from '../../src/vdso/image.ts';
import { unprivileged } from '../unprivileged.ts';
import { captured } from './captured.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-vdso-'));
after(() => rmSync(folder, { recursive: true }));
const inFolder = (name: string) => path.join(folder, name);

const image = buildImage(clockCode(), 'kvmclock.so', DATA_BYTES);
const header = headerText('kvmclock.so', image.symbols);

describe('kvmclock vdso', () => {
  test('kvmclock vdso writes the image and the header, and says where', async () => {
    const [out, h] = [inFolder('kvmclock.so'), inFolder('kvmclock.h')];
    const { status, stdout, stderr } = await captured(['vdso', '--out', out, '--header', h]);
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: `${out}\n${h}\n`, stderr: '' });
    assert.deepEqual(readFileSync(out), Buffer.from(image.file));
    assert.equal(readFileSync(h, 'utf8'), header);
    assert.deepEqual(readdirSync(folder).sort(), ['kvmclock.h', 'kvmclock.so']);
  });

  test('kvmclock vdso lists the functions where no file is named', async () => {
    const { status, stdout } = await captured(['vdso']);
    assert.equal(status, 0);
    const lines = stdout.split('\n');
    assert.match(lines[0]!, new RegExp(`^kvmclock\\.so: [0-9 ]+ bytes, ${image.symbols.length} functions`));
    for (const { name, bytes } of image.symbols) {
      assert.ok(
        lines.some((line) => line.trimStart().startsWith(`${bytes} `) && line.includes(` ${name}(`)),
        name,
      );
    }
  });

  test('kvmclock vdso --json prints what there is, with or without writing it', async () => {
    const symbols = image.symbols.map(({ name, bytes }) => ({ name, bytes }));
    for (const out of [null, inFolder('json.so')]) {
      const { stdout } = await captured(['vdso', '--json', ...(out === null ? [] : ['--out', out])]);
      const value = JSON.parse(stdout);
      assert.deepEqual(
        { ...value, symbols: value.symbols.map(({ name, bytes }: (typeof symbols)[0]) => ({ name, bytes })) },
        { soname: 'kvmclock.so', bytes: image.file.length, out, header: null, symbols },
      );
      assert.equal(
        value.symbols.find(({ name }: { name: string }) => name === 'kvmclock_now').declaration,
        'uint64_t kvmclock_now(void)',
      );
    }
  });

  test('kvmclock vdso replaces a file, and writes through a link', async () => {
    const [file, link] = [inFolder('old.so'), inFolder('link.so')];
    writeFileSync(file, 'old');
    symlinkSync(file, link);
    assert.equal((await captured(['vdso', '--out', link])).status, 0);
    assert.deepEqual(readFileSync(file), Buffer.from(image.file));
    writeFileSync(file, 'old');
    assert.equal((await captured(['vdso', '--out', file])).status, 0);
    assert.deepEqual(readFileSync(link), Buffer.from(image.file));
  });

  const refused = async (argv: string[], message: RegExp) => {
    const { status, stdout, stderr } = await captured(['vdso', ...argv]);
    assert.deepEqual({ status, stdout }, { status: 2, stdout: '' });
    assert.match(stderr, message);
    assert.equal(stderr.split('\n').length, 2);
  };

  test('kvmclock vdso refuses a directory, a folder that is not there and one name for two files', async () => {
    mkdirSync(inFolder('directory'));
    await refused(['--out', inFolder('directory')], /--out: ".*" is a directory; name a file in it/);
    await refused(['--header', folder], /--header: ".*" is a directory/);
    await refused(
      ['--out', inFolder('no/kvmclock.so')],
      /--out: cannot write ".*": there is no such folder; make it first/,
    );
    await refused(['--out', '/proc/version/x'], /a part of its path is no folder/);
    await refused(['--out', 'a', '--header', './a'], /both name "a"; give them a file each/);
    await refused(['kvmclock.so'], /unexpected argument "kvmclock\.so"/);
  });

  test('kvmclock vdso says so where it may not write, and leaves nothing behind', async () => {
    const closed = inFolder('closed');
    mkdirSync(closed);
    chmodSync(closed, 0o500);
    await unprivileged(() => refused(['--out', path.join(closed, 'kvmclock.so')], /you may not write there/));
    assert.deepEqual(readdirSync(closed), []);
  });

  test('kvmclock vdso --out says what a file system that takes nothing answers', async () => {
    await refused(['--out', '/proc/kvmclock.so'], /--out: cannot write "\/proc\/kvmclock\.so": /);
  });
});
