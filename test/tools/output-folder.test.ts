import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { outputFolder } from '../../tools/output-folder.ts';

const root = path.join(import.meta.dirname, '../..');
const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-output-'));
after(() => rmSync(folder, { recursive: true }));

const build = (tool: string, argument: string) =>
  spawnSync(process.execPath, [path.join(root, 'tools', tool), argument], { cwd: folder, encoding: 'utf8' });

for (const tool of ['build.ts', 'build-page.ts']) {
  test(`${tool} refuses an option, a file, and a folder that holds something else, and loses nothing`, () => {
    const letter = path.join(folder, 'letter.txt');
    writeFileSync(letter, 'Dear');
    for (const [argument, why] of [
      ['--help', /^build[\w-]*\.ts: takes a folder, and no option: --help\n$/],
      [letter, /letter\.txt is no folder: name another, or remove it\n$/],
      [folder, /holds something else than a build, which would be lost: name an empty folder, or remove it\n$/],
    ] as const) {
      const { status, stderr } = build(tool, argument);
      assert.equal(status, 2, stderr);
      assert.match(stderr, why);
      assert.equal(stderr.split('\n').length, 2);
    }
    assert.deepEqual(readdirSync(folder), ['letter.txt']);
    assert.ok(existsSync(letter));
  });
}

test('outputFolder() takes a folder that is not there, an empty one, one that an earlier build made, and whatever is the usual one', () => {
  const made = mkdtempSync(path.join(folder, 'made-'));
  const absent = path.join(made, 'absent');
  assert.equal(outputFolder(absent, root, 'index.js'), absent);
  assert.equal(outputFolder(made, root, 'index.js'), made);
  writeFileSync(path.join(made, 'index.js'), '');
  assert.equal(outputFolder(made, root, 'index.js'), made);
  assert.equal(outputFolder(undefined, folder, 'index.js'), folder);
});
