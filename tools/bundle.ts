/**
 * The package's JavaScript from src/: bundled and minified, as what is published should be small. Its parts stand flat in the
 * output folder; each file that something starts by its path (the command, the worker threads) stands there too, as one import.
 *
 * What the library loads is one part; of the command, what is used together is one, so that it loads little more than it runs.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type ChunkingContext, type Plugin, rolldown } from 'rolldown';

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

/** Those whose imports are kept in one part. Whatever else is started, or imported when it is needed, has a part of its own. */
const TOGETHER: Readonly<Record<string, readonly string[]>> = {
  library: ['index'],
  command: ['cli/main'],
  check: ['cli/check', 'cli/replay', 'report/check-worker'],
  vm: ['cli/vm-bench', 'cli/vm-race', 'cli/vm-stress', 'cli/vm-conform', 'cli/vm-run', 'machine/kvm/worker'],
  bench: ['cli/doctor', 'cli/bench'],
  simulated: ['machine/simulated/host-worker', 'machine/simulated/vcpu-worker'],
};

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
  const started = STARTED.map((name) => [flat(name), fileOf(name)]);
  const build = await rolldown({
    input: { index: fileOf('index'), ...Object.fromEntries(started) },
    platform: 'node',
    preserveEntrySignatures: 'allow-extension', // as the groups below want it
    external: /\/source-assets\.ts$/, // the page as it stands in the repository
    plugins: [whereItWas, onlyWhatIsUsed],
    transform: { target: 'node20' },
    optimization: { inlineConst: { mode: 'all', pass: 3 } },
  });
  await build.write({
    dir: out,
    format: 'esm',
    minify: true,
    comments: false,
    chunkFileNames: '[name].js',
    codeSplitting: { includeDependenciesRecursively: false, groups: [{ debugName: 'parts', name: partOf() }] },
  });
  for (const name of STARTED) {
    const at = path.join(out, `${name}.js`);
    mkdirSync(path.dirname(at), { recursive: true });
    const interpreter = name === 'cli/main' ? '#!/usr/bin/env node\n' : '';
    writeFileSync(at, `${interpreter}import '${'../'.repeat(name.split('/').length - 1)}${flat(name)}.js';\n`);
  }
}

const fileOf = (name: string): string => path.join(source, `${name}.ts`);

/** The name of a started file's part. */
const flat = (name: string): string => name.replaceAll('/', '-');

/** What rolldown knows of the files. */
type Modules = Pick<ChunkingContext, 'getModuleInfo'>;

/**
 * Which part a file goes into: the library's or the command's where that uses it; else the part of the one, or of the two, that use
 * it; or what all others share.
 */
function partOf(): (id: string, modules: Modules) => string | null {
  let users: ReadonlyMap<string, ReadonlySet<string>> | undefined;
  return (id, modules) => {
    if (STARTED.some((name) => fileOf(name) === id)) return null; // it acts when it is loaded
    users ??= usersOf(modules);
    const names = [...(users.get(id) ?? [])].sort();
    for (const first of ['library', 'command']) if (names.includes(first)) return first;
    return names.length > 2 ? 'shared' : names.join('-');
  };
}

/** The parts that use each file. */
function usersOf(modules: Modules): ReadonlyMap<string, ReadonlySet<string>> {
  const users = new Map<string, Set<string>>();
  const starts = new Set(['index', ...STARTED].map(fileOf));
  for (const start of starts) {
    const name = path.relative(source, start).replace(/\.ts$/, '');
    const part = Object.keys(TOGETHER).find((key) => TOGETHER[key]!.includes(name)) ?? path.basename(name);
    const reached = new Set([start]);
    for (const id of reached) {
      users.set(id, (users.get(id) ?? new Set()).add(part));
      const { importedIds = [], dynamicallyImportedIds = [] } = modules.getModuleInfo(id) ?? {};
      for (const imported of importedIds) reached.add(imported); // both loops go on to what is added
      for (const imported of dynamicallyImportedIds) starts.add(imported);
    }
  }
  return users;
}
