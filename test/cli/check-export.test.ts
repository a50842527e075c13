import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { captured } from './captured.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-export-'));
after(() => rmSync(folder, { recursive: true }));

const SMALL = ['--vcpus', '1', '--update', 'ahead'];
const check = (...argv: string[]) => captured(['check', ...argv, ...SMALL]);

describe('kvmclock check --export', () => {
  test('prints Promela of the configuration, whatever its verdict', async () => {
    const { status, stdout, stderr } = await check('landed', '--export', 'promela');
    assert.equal(status, 0);
    assert.equal(stderr, '');
    assert.match(stdout, /^\/\*\n \* landed under kvm, writer today, update ahead, memory sc: 1 vCPU, /);
    assert.match(stdout, /run guest\(0, 0\)\n {2}\}\n\}\n$/);
  });

  test('prints TLA+ with its configuration file behind it', async () => {
    const { stdout } = await check('rfc', '--export', 'tla');
    assert.match(stdout, /^-+ MODULE Kvmclock -+\n/);
    assert.match(stdout, /\n====\nINIT Init\n/);
  });

  test('--out writes a file, and for TLA+ a second one beside it, and prints their names', async () => {
    const promela = path.join(folder, 'race.pml');
    const tla = path.join(folder, 'Race.tla');
    assert.equal((await check('--export', 'promela', '--out', promela)).stdout, `${promela}\n`);
    assert.equal((await check('--export', 'tla', '--out', tla)).stdout, `${tla}\n${path.join(folder, 'Race.cfg')}\n`);
    assert.deepEqual(readdirSync(folder).sort(), ['Race.cfg', 'Race.tla', 'race.pml']);
    assert.match(readFileSync(tla, 'utf8'), /^-+ MODULE Race -+\n/);
  });

  test('--json has the texts by name', async () => {
    const { stdout } = await check('--export', 'tla', '--json');
    const { export: written } = JSON.parse(stdout);
    assert.deepEqual([written.format, written.complete], ['tla', true]);
    assert.deepEqual(
      written.files.map(({ name }: { name: string }) => name),
      ['Kvmclock.tla', 'Kvmclock.cfg'],
    );
  });

  test('says so where the search was cut off', async () => {
    const { status, stderr } = await check('--export', 'promela', '--max-states', '10');
    assert.equal(status, 0);
    assert.match(stderr, /^exported from a search that was cut off: .*\n$/);
  });

  const refused: readonly (readonly [string[], RegExp])[] = [
    [['--export', 'spin'], /--export takes promela, tla, not "spin"/],
    [['--out', 'x'], /--out names the file of --export; give that too/],
    [['--export', 'tla', '--all'], /--export writes one configuration; leave --all and --mutations out/],
    [['--export', 'tla', '--early', 'late-tsc'], /does every load in its turn; leave --early out/],
    [['--export', 'tla', '--out', 'the-race.tla'], /"the-race" is no name; try Race.tla/],
    [['--export', 'promela', '--out', '/nowhere/x.pml'], /cannot write "\/nowhere\/x.pml": there is no such folder/],
  ];
  for (const [argv, message] of refused) {
    test(`refuses ${argv.join(' ')} in one line`, async () => {
      const { status, stdout, stderr } = await check(...argv);
      assert.equal(status, 2);
      assert.equal(stdout, '');
      assert.match(stderr, message);
      assert.match(stderr, /^kvmclock check: [^\n]*\n$/);
    });
  }
});
