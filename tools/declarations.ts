/** The types of the library as tsc writes them: what the package ships, and what docs/api.md is made from. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');

/** Writes the .d.ts files of all of src/ into `folder`. False where the sources do not compile; they are written even so. */
export function emitDeclarations(folder: string, complain = true): boolean {
  const compiler = path.join(root, 'node_modules/.bin/tsc');
  const options = ['-p', path.join(root, 'tsconfig.build.json'), '--emitDeclarationOnly', '--outDir', folder];
  return spawnSync(compiler, options, { stdio: complain ? 'inherit' : 'ignore' }).status === 0;
}

/** `start`, and every file that it names, directly or through others. */
export function reached(folder: string, start: string): ReadonlySet<string> {
  const files = new Set([start]);
  for (const file of files) {
    const text = readFileSync(path.join(folder, file), 'utf8');
    for (const [, to] of text.matchAll(/(?:from |import\()['"](\.[^'"]+)\.(?:ts|js)['"]/g)) {
      files.add(`${path.posix.join(path.posix.dirname(file), to!)}.d.ts`);
    }
  }
  return files;
}
