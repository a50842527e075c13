/** Makes dist/ from src/ and web/: JavaScript, types, the page. `node tools/build.ts DIR` makes it in another folder. */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildPage } from './build-page.ts';
import { bundle, bundleMetrics } from './bundle.ts';

const root = path.join(import.meta.dirname, '..');
const out = path.resolve(process.argv[2] ?? path.join(root, 'dist'));

rmSync(out, { recursive: true, force: true });
await bundle(out);
await bundleMetrics(out);
chmodSync(path.join(out, 'cli/main.js'), 0o755); // its first line names node
declarations();
await buildPage(path.join(out, 'web'), true);
writeFileSync(path.join(out, 'third-party.txt'), licences('prom-client', 'uplot'));

/** The types of the library: index.d.ts and what it names, directly or through others. */
function declarations(): void {
  const all = mkdtempSync(path.join(tmpdir(), 'kvmclock-types-'));
  const compiler = path.join(root, 'node_modules/.bin/tsc');
  const options = ['-p', path.join(root, 'tsconfig.build.json'), '--emitDeclarationOnly', '--outDir', all];
  const { status } = spawnSync(compiler, options, { stdio: 'inherit' });
  if (status === 0) for (const file of reached(all, 'index.d.ts')) cpSync(path.join(all, file), path.join(out, file));
  rmSync(all, { recursive: true });
  if (status !== 0) process.exit(status ?? 1);
}

function reached(folder: string, start: string): ReadonlySet<string> {
  const files = new Set([start]);
  for (const file of files) {
    const text = readFileSync(path.join(folder, file), 'utf8');
    for (const [, to] of text.matchAll(/(?:from |import\()['"](\.[^'"]+)\.(?:ts|js)['"]/g)) {
      files.add(`${path.posix.join(path.posix.dirname(file), to!)}.d.ts`);
    }
  }
  return files;
}

/** The licences of what dist/ has of other packages. */
function licences(...packages: readonly string[]): string {
  return packages
    .map((name) => {
      const folder = path.join(root, 'node_modules', name);
      const { version } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as { version: string };
      return `${name} ${version}\n\n${readFileSync(path.join(folder, 'LICENSE'), 'utf8').trim()}\n`;
    })
    .join('\n\n');
}
