import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';

const DELAY = '--concurrent-recompilation-delay=200';

/** What a child printed, and how it ended. */
function child(flags: readonly string[], file: string, args: readonly string[] = []) {
  const name = path.join(import.meta.dirname, 'children', file);
  const { stdout, stderr, status, signal } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', ...flags, name, ...args],
    { encoding: 'utf8' },
  );
  return { stdout: stdout.trim(), stderr, status, signal };
}

const ENDED = { stderr: '', status: 0, signal: null };

test('awaitCompileJobs() lets no thread that has opened libc end while a caller is being compiled', () => {
  assert.deepEqual(child([DELAY], 'compiling.ts', ['waited']), { stdout: 'true', ...ENDED });
});

test('that check catches a thread that does not wait', () => {
  assert.equal(child([DELAY], 'compiling.ts', ['unwaited']).stdout, 'false');
});

test('endWorker() lets a Worker end behind its compiles', () => {
  assert.deepEqual(child([DELAY], 'compiling.ts', ['worker-ended']), { stdout: 'true', ...ENDED });
});

test('that check catches a Worker that is terminated', () => {
  assert.equal(child([DELAY], 'compiling.ts', ['worker-terminated']).stdout, 'false');
});

test("awaitCompileJobs() leaves the engine's own words as it found them, allowed or not", () => {
  assert.deepEqual(child([], 'own-words.ts'), { stdout: 'not allowed', ...ENDED });
  assert.deepEqual(child(['--allow-natives-syntax'], 'own-words.ts'), { stdout: 'allowed', ...ENDED });
});

test('awaitCompileJobs() sets no flag where the engine would abort for it', () => {
  const frozen = '--freeze-flags-after-init';
  assert.deepEqual(child([frozen], 'own-words.ts'), { stdout: 'not allowed', ...ENDED });
  const { status, signal } = child([frozen], 'own-words.ts', ['worker']);
  assert.deepEqual([status, signal], [0, null]);
});
