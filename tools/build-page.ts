/**
 * Makes the page into one folder of plain files that any static host can serve: its TypeScript and the layers below it as
 * one script each for the page and its worker, uPlot beside them. `npm run build:page` puts it into dist/page, without the
 * view that needs a server of its own; the build of the package puts the whole of it into dist/web.
 */
import { copyFileSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { build } from 'esbuild';

const root = path.join(import.meta.dirname, '..');
const plots = path.dirname(createRequire(import.meta.url).resolve('uplot'));

/** Scripts that the page starts by name: itself, and its workers. */
const ENTRIES = ['web/main.ts', ...globSync('web/**/*-worker.ts', { cwd: root })];

/** `served`: by `kvmclock serve`, whose events the view of this machine lives on. */
export async function buildPage(out: string, served: boolean): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: ENTRIES,
    entryNames: '[name]',
    outdir: out,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    charset: 'utf8',
    logLevel: 'warning',
  });
  const page = readFileSync(path.join(root, 'web/index.html'), 'utf8');
  writeFileSync(path.join(out, 'index.html'), asBuilt(page, served));
  for (const file of ['style.css', 'icon.svg']) copyFileSync(path.join(root, 'web', file), path.join(out, file));
  copyFileSync(path.join(plots, 'uPlot.iife.min.js'), path.join(out, 'uplot.js'));
  copyFileSync(path.join(plots, 'uPlot.min.css'), path.join(out, 'uplot.css'));
}

/** The document with the built script in it; and without what is marked as needing the server, where there is none. */
function asBuilt(page: string, served: boolean): string {
  const built = page.replace('src="main.ts"', 'src="main.js"');
  return served ? built : built.replaceAll(/<!-- needs the server -->.*?<!-- to here -->\s*/gs, '');
}

if (import.meta.main) await buildPage(path.resolve(process.argv[2] ?? path.join(root, 'dist/page')), false);
