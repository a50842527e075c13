/**
 * Runs every test below test/, or the files named. Options go through to `node --test`, with their values after a `=`:
 * `npm test -- test/scale/scale-delta.test.ts --test-name-pattern=shift`.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';

const TIMEOUT_MS = 240_000; // for one file, on two busy cores

const given = process.argv.slice(2);
const options = given.filter((argument) => argument.startsWith('-'));
const files = given.filter((argument) => !argument.startsWith('-'));

const { status, signal } = spawnSync(
  process.execPath,
  [
    '--disable-warning=ExperimentalWarning',
    '--test',
    '--test-reporter=spec',
    `--test-timeout=${TIMEOUT_MS}`,
    `--test-concurrency=${availableParallelism()}`,
    ...options,
    ...(files.length > 0 ? files : ['test/**/*.test.ts']),
  ],
  { cwd: path.join(import.meta.dirname, '..'), stdio: 'inherit' },
);
process.exit(status ?? (signal === 'SIGINT' ? 130 : 1));
