/**
 * The page from source: its own TypeScript with the types taken out, the layers that it stands on below /src, the readers' own
 * text below /source, and uPlot out of its package. Files are read when they are asked for, so that an edit is seen at the next load.
 */
import { globSync, readFileSync } from 'node:fs';
import { createRequire, stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { type Asset, type Assets, TYPES } from './assets.ts';

/** The layers that a page may load. */
const LAYERS = 'src/{abi,scale,guest,hypervisor,checker,vdso}/**/*.ts';

/** `root`: the repository. */
export function sourceAssets(root: string): Assets {
  const { resolve } = createRequire(import.meta.url);
  const assets = new Map<string, Asset>();
  const add = (at: string, file: string): void => {
    const type = TYPES[path.extname(file)];
    if (type !== undefined) assets.set(at, { type, bytes: () => served(file) });
  };
  for (const file of globSync('web/**/*', { cwd: root })) {
    add(`/${path.posix.relative('web', file)}`, path.join(root, file));
  }
  for (const file of globSync(LAYERS, { cwd: root })) add(`/${file}`, path.join(root, file));
  for (const file of globSync('guest/*.ts', { cwd: path.join(root, 'src') })) {
    assets.set(`/source/${file}.txt`, {
      type: TYPES['.txt']!,
      bytes: () => readFileSync(path.join(root, 'src', file)),
    });
  }
  const plots = path.dirname(resolve('uplot'));
  add('/uplot.js', path.join(plots, 'uPlot.iife.min.js'));
  add('/uplot.css', path.join(plots, 'uPlot.min.css'));
  return assets;
}

function served(file: string): Buffer {
  const bytes = readFileSync(file);
  return file.endsWith('.ts') ? Buffer.from(stripTypeScriptTypes(bytes.toString('utf8'))) : bytes;
}
