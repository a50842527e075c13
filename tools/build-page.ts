/**
 * Makes the page into one folder of plain files that any static host can serve. `npm run build:page` puts it into dist/page,
 * without the view that needs a server of its own. In the package it stands in dist/web, whole: its scripts are made together with
 * the command's (bundle.ts), what is beside them is put there by `putBeside()`.
 *
 * The page and the layers below it become a script for each entry. Only the guest's readers, and what they import, stay files of
 * their own with each line where it is in the source: the page asks a reader's stack which line runs, and shows that line.
 */
import { copyFileSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire, stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { type PartialResolvedId, type Plugin, rolldown } from 'rolldown';
import { licences } from './licences.ts';
import { outputFolder } from './output-folder.ts';

const root = path.join(import.meta.dirname, '..');
const plots = path.dirname(createRequire(import.meta.url).resolve('uplot'));

/** Scripts that are started by name, with their files: the page itself, and its workers. */
export const PAGE_SCRIPTS: Readonly<Record<string, string>> = Object.fromEntries(
  ['web/main.ts', ...globSync('web/**/*-worker.ts', { cwd: root })].map((file) => [path.basename(file, '.ts'), file]),
);
const READERS = 'src/guest/';
const RELATIVE_IMPORT = /(\bfrom\s*|\bimport\s*)'(\.[^']*)\.ts'/g;

export async function buildPage(out: string): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  const readers = new Set<string>();
  const built = await rolldown({
    cwd: root,
    input: PAGE_SCRIPTS,
    plugins: [keepReaders(readers)],
    transform: { target: 'es2022' },
    optimization: { inlineConst: { mode: 'all', pass: 3 } },
  });
  await built.write({ dir: out, format: 'esm', minify: true, chunkFileNames: '[name]-[hash].js' });
  putBeside(out, readers, false);
}

/** All of the page but its scripts. `served`: by `kvmclock serve`, whose events the view of this machine lives on. */
export function putBeside(out: string, readers: Iterable<string>, served: boolean): void {
  for (const file of closure(readers)) {
    writeReader(out, file);
    if (file.startsWith(READERS)) copyInto(out, file, `${file.replace('src', 'source')}.txt`); // as it is, to be shown
  }
  writeFileSync(path.join(out, 'index.html'), asBuilt(readFileSync(path.join(root, 'web/index.html'), 'utf8'), served));
  for (const file of globSync('web/*.{css,svg}', { cwd: root })) copyInto(out, file, path.basename(file));
  copyFileSync(path.join(plots, 'uPlot.iife.min.js'), path.join(out, 'uplot.js'));
  copyFileSync(path.join(plots, 'uPlot.min.css'), path.join(out, 'uplot.css'));
  writeFileSync(path.join(out, 'third-party.txt'), licences('uplot'));
}

/** Leaves every import of a file of src/guest as it is, and adds it to `kept`. */
function keepReaders(kept: Set<string>): Plugin {
  return {
    name: 'keep-readers',
    resolveId: {
      filter: { id: /^\..*\.ts$/ },
      handler: (target, importer = root) => keptReader(path.join(path.dirname(importer), target), kept),
    },
  };
}

/** What an import of `file` from a script of the page becomes, where it is a reader's. All scripts stand in one folder, beside src. */
export function keptReader(file: string, kept: Set<string>): PartialResolvedId | undefined {
  if (!isReader(file)) return undefined;
  const name = path.relative(root, file);
  kept.add(name);
  return { id: `./${asJavaScript(name)}`, external: 'relative' };
}

/** Whether a file stays a file of its own. */
export function isReader(file: string): boolean {
  return path.relative(root, file).startsWith(READERS);
}

/** `files`, and whatever they import. */
function closure(files: Iterable<string>): Set<string> {
  const all = new Set(files);
  for (const file of all) {
    for (const [, , target] of strip(file).matchAll(RELATIVE_IMPORT)) {
      all.add(path.join(path.dirname(file), `${target}.ts`)); // the loop goes on to what is added
    }
  }
  return all;
}

function writeReader(out: string, file: string): void {
  const target = path.join(out, asJavaScript(file));
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(target, strip(file).replaceAll(RELATIVE_IMPORT, "$1'$2.js'"));
}

/** The file with blanks where its types were: every line and column stays. */
function strip(file: string): string {
  return stripTypeScriptTypes(readFileSync(path.join(root, file), 'utf8'));
}

function asJavaScript(file: string): string {
  return file.replace(/\.ts$/, '.js');
}

function copyInto(out: string, file: string, as: string): void {
  mkdirSync(path.dirname(path.join(out, as)), { recursive: true });
  copyFileSync(path.join(root, file), path.join(out, as));
}

/** The document with the built script in it; and without what is marked as needing the server, where there is none. */
function asBuilt(page: string, served: boolean): string {
  const built = page.replace('src="main.ts"', 'src="main.js"');
  return served ? built : built.replaceAll(/<!-- needs the server -->.*?<!-- to here -->\s*/gs, '');
}

if (import.meta.main) await buildPage(outputFolder(process.argv[2], path.join(root, 'dist/page'), 'index.html'));
