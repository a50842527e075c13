/**
 * The package's JavaScript from src/: bundled and minified, as what is published should be small. The parts stand flat in
 * the output folder, so that two programs that use the same part load it once; each file that something starts by its path
 * (the library, the command, the worker threads) stands there too, as one import of its part.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build, type Plugin } from 'esbuild';

const root = path.join(import.meta.dirname, '..');
const source = path.join(root, 'src');

/** What is started by its path, below src/. */
const STARTED = [
  'cli/main',
  'machine/warp-worker',
  'machine/kvm/worker',
  'machine/simulated/host-worker',
  'machine/simulated/vcpu-worker',
  'report/check-worker',
];

/** The part that a started file imports: flat. */
const partOf = (file: string): string => file.replaceAll('/', '-');

/** A part stands elsewhere than its source: it is told where that would be, which is where what it starts stands. */
const whereItWas: Plugin = {
  name: 'where-it-was',
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path: file }) => {
      const at = path.relative(source, file).replace(/ts$/, 'js');
      const contents = readFileSync(file, 'utf8')
        .replaceAll('import.meta.url', `new URL('./${at}', import.meta.url).href`)
        .replaceAll('import.meta.dirname', `(import.meta.dirname + '/${path.dirname(at)}')`);
      return { contents, loader: 'ts' };
    });
  },
};

/** What the package has no use for, or has made for it elsewhere: the page from source, prom-client's parts. */
const leftOut: Plugin = {
  name: 'left-out',
  setup({ onResolve }) {
    onResolve({ filter: /\/source-assets\.ts$/ }, () => ({ path: './source-assets.js', external: true }));
    onResolve({ filter: /\/prometheus\.ts$/ }, () => ({ path: './prometheus.js', external: true }));
  },
};

export async function bundle(out: string): Promise<void> {
  const started = STARTED.map((file) => [partOf(file), path.join(source, `${file}.ts`)]);
  await build({
    entryPoints: { index: path.join(source, 'index.ts'), ...Object.fromEntries(started) },
    outdir: out,
    bundle: true,
    splitting: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    chunkNames: '[hash]',
    plugins: [whereItWas, leftOut],
    logLevel: 'warning',
  });
  for (const file of STARTED) {
    const at = path.join(out, `${file}.js`);
    mkdirSync(path.dirname(at), { recursive: true });
    const interpreter = file === 'cli/main' ? '#!/usr/bin/env node\n' : '';
    const part = `${'../'.repeat(file.split('/').length - 1)}${partOf(file)}.js`;
    writeFileSync(at, `${interpreter}import '${part}';\n`);
  }
}

/** prom-client's parts that src/report/prometheus.ts names, made one file: the package depends on nothing. */
export async function bundleMetrics(out: string): Promise<void> {
  const parts = ['Counter', 'Gauge', 'Registry'];
  const contents = parts.map(
    (part) => `export { default as ${part} } from 'prom-client/lib/${part.toLowerCase()}.js';`,
  );
  await build({
    stdin: { contents: contents.join('\n'), resolveDir: root },
    outfile: path.join(out, 'prometheus.js'),
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'warning',
  });
}
