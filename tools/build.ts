/** Makes dist/ from src/ and web/: JavaScript, types, the page. `node tools/build.ts DIR` makes it in another folder. */
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { buildPage } from './build-page.ts';

const root = path.join(import.meta.dirname, '..');
const out = path.resolve(process.argv[2] ?? path.join(root, 'dist'));

rmSync(out, { recursive: true, force: true });
const compiler = path.join(root, 'node_modules/.bin/tsc');
const { status } = spawnSync(compiler, ['-p', path.join(root, 'tsconfig.build.json'), '--outDir', out], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(status ?? 1);
chmodSync(path.join(out, 'cli/main.js'), 0o755); // its first line names node
await buildPage(path.join(out, 'web'), true);
await takeInMetrics();
writeFileSync(path.join(out, 'third-party.txt'), licences('prom-client', 'uplot'));

/** The parts of prom-client that src/report/prometheus.ts names, in the place of what tsc made of it. */
async function takeInMetrics(): Promise<void> {
  const parts = ['Counter', 'Gauge', 'Registry'];
  const contents = parts.map(
    (part) => `export { default as ${part} } from 'prom-client/lib/${part.toLowerCase()}.js';`,
  );
  await build({
    stdin: { contents: contents.join('\n'), resolveDir: root },
    outfile: path.join(out, 'report/prometheus.js'),
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'warning',
  });
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
