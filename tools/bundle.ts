/**
 * The package's JavaScript from src/ and web/: bundled and minified, as what is published should be small. Its parts stand flat in
 * the output folder, the page's in web/ below it; each file that something starts by its path (the command, the worker threads)
 * stands there too, as one import. parts.ts says what goes where.
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Plugin, rolldown } from 'rolldown';
import { putBeside } from './build-page.ts';
import { lineForEachStatement } from './line-breaks.ts';
import { flat, pagesOwn, partFile, partOf, STARTED, STARTS, source, whatIsNeeded } from './parts.ts';

/** prom-client's parts that src/report/prometheus.ts names: the package depends on nothing. */
const METRICS = ['Counter', 'Gauge', 'Registry']
  .map((name) => `export { default as ${name} } from 'prom-client/lib/${name.toLowerCase()}.js';`)
  .join('\n');

/** A part stands elsewhere than its source: it is told where that would be, which is where what it starts stands. */
const whereItWas: Plugin = {
  name: 'where-it-was',
  transform: {
    filter: { id: /\/src\/.*\.ts$/ },
    handler(code, file) {
      const at = path.relative(source, file).replace(/ts$/, 'js');
      return code
        .replaceAll('import.meta.url', `new URL('./${at}', import.meta.url).href`)
        .replaceAll('import.meta.dirname', `(import.meta.dirname + '/${path.dirname(at)}')`);
    },
  },
};

const onlyWhatIsUsed: Plugin = {
  name: 'only-what-is-used',
  load: { filter: { id: /\/report\/prometheus\.ts$/ }, handler: () => METRICS },
};

export async function bundle(out: string): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  const need = await whatIsNeeded();
  const readers = new Set<string>();
  const build = await rolldown({
    input: STARTS,
    platform: 'node',
    preserveEntrySignatures: 'allow-extension', // as the groups below want it
    external: /\/source-assets\.ts$/, // the page as it stands in the repository
    plugins: [pagesOwn(need, readers), whereItWas, onlyWhatIsUsed],
    transform: { target: 'node20' },
    optimization: { inlineConst: { mode: 'all', pass: 3 } },
  });
  await build.write({
    dir: out,
    format: 'esm',
    minify: true,
    comments: false,
    chunkFileNames: partFile(need),
    codeSplitting: { includeDependenciesRecursively: false, groups: [{ debugName: 'parts', name: partOf(need) }] },
  });
  for (const part of globSync(path.join(out, '*.js'))) {
    writeFileSync(part, lineForEachStatement(readFileSync(part, 'utf8')));
  }
  putBeside(path.join(out, 'web'), readers, true);
  for (const name of STARTED) {
    const at = path.join(out, `${name}.js`);
    mkdirSync(path.dirname(at), { recursive: true });
    const interpreter = name === 'cli/main' ? '#!/usr/bin/env node\n' : '';
    writeFileSync(at, `${interpreter}import '${'../'.repeat(name.split('/').length - 1)}${flat(name)}.js';\n`);
  }
}
