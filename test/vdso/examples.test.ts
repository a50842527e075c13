import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { openLive } from '../../src/machine/live.ts';
import { isUnavailable } from '../../src/machine/sys.ts';
import { captured } from '../cli/captured.ts';

const EXAMPLES = path.join(import.meta.dirname, '../../examples');
const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-examples-'));
after(() => rmSync(folder, { recursive: true }));
before(async () => {
  const [so, header] = ['kvmclock.so', 'kvmclock.h'].map((name) => path.join(folder, name)) as [string, string];
  assert.equal((await captured(['vdso', '--out', so, '--header', header])).status, 0);
});

const live = openLive();
const has = (command: string) => spawnSync(command, ['--version']).status === 0;
const without = (command: string) => (has(command) ? false : `${command} is not here`);

/** What an example prints: its source, and three readings that do not go back. On the live record, this process's own around them. */
function holdOutput(t: TestContext, command: string, args: readonly string[]): string {
  const now = isUnavailable(live) ? undefined : live.image.kvmclock_now;
  const earlier = now?.();
  const output = execFileSync(command, args, { encoding: 'utf8', cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  const later = now?.();
  const source = /^source: (.*)$/m.exec(output)?.[1];
  const readings = Array.from(output.matchAll(/^now: (\d+) ns$/gm), ([, ns]) => BigInt(ns!));
  assert.equal(readings.length, 3);
  const known = source === 'the record' && earlier !== undefined && later !== undefined;
  const all = known ? [earlier, ...readings, later] : readings;
  for (const [index, ns] of all.entries()) assert.ok(index === 0 || all[index - 1]! <= ns, all.join());
  if (isUnavailable(live)) t.diagnostic(`no live record: ${live.unavailable}`);
  else assert.match(source ?? '', /record/); // not stable at the moment is an answer, too
  return output;
}

describe('the examples', () => {
  test('examples/c/clock.c compiles without a warning and reads the clock', { skip: without('gcc') }, (t) => {
    cpSync(path.join(EXAMPLES, 'c/clock.c'), path.join(folder, 'clock.c'));
    const options = ['-std=c99', '-Wall', '-Wextra', '-Werror', '-pedantic', '-O2', '-o', 'clock'];
    execFileSync('gcc', [...options, 'clock.c', './kvmclock.so', '-Wl,-rpath,$ORIGIN'], { cwd: folder });
    const output = holdOutput(t, path.join(folder, 'clock'), []);
    assert.match(output, /^kvmclock_now: [0-9.]+ ns, kvmclock_now_relaxed: [0-9.]+ ns, clock_gettime: [0-9.]+ ns$/m);
  });

  test('examples/python/clock.py reads the clock', { skip: without('python3') }, (t) => {
    holdOutput(t, 'python3', [path.join(EXAMPLES, 'python/clock.py'), 'kvmclock.so']);
  });
});
