/**
 * Fails on an import that points up or sideways: a file may import from its own folder and from the layers below.
 * Layers 0 to 2 may import no `node:` module, the page stands on layers 0 to 2 alone, a package is named in one file at
 * most, and no file may import a barrel (an index.ts) of a folder.
 */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

const LAYER: Record<string, number> = {
  abi: 0,
  scale: 0,
  guest: 1,
  hypervisor: 1,
  checker: 2,
  vdso: 2,
  machine: 3,
  report: 4,
  server: 5,
  web: 5,
  cli: 6,
};
const FIRST_LAYER_WITH_NODE = 3;
/** The page runs in a browser: it may import from no higher layer than this. */
const HIGHEST_BELOW_WEB = 2;
/** What the public names may come from. */
const HIGHEST_BELOW_INDEX = 3;
/** The one file that may name a package. */
const PACKAGE_DOORS: Record<string, string> = { 'prom-client': 'report/prometheus.ts', uplot: 'web/plot.ts' };
const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^;]*?from\s*'([^']+)'|(?:^|\n)\s*import\s*'([^']+)'|import\(\s*'([^']+)'\s*\)|new URL\(\s*'([^']+\.ts)'/g;

/** The complaints about one source file, given its path below src/ (or `web/...`, which stands beside it) and its text. */
export function complaintsOf(file: string, text: string): string[] {
  const targets = [...text.matchAll(IMPORT)].map((match) => match.slice(1).find((group) => group !== undefined)!);
  if (!file.includes('/')) return targets.flatMap((target) => complaintsOfIndex(file, target));
  const folder = file.split('/')[0]!;
  const layer = LAYER[folder];
  if (layer === undefined) return [`${file}: folder ${folder}/ has no layer`];
  return targets.flatMap((target) =>
    target.startsWith('.') ? ownFile(file, folder, layer, target) : packageOrNode(file, folder, layer, target),
  );
}

function ownFile(file: string, folder: string, layer: number, target: string): string[] {
  const resolved = resolve(file, target);
  const into = resolved.split('/')[0]!;
  if (path.posix.basename(resolved) === 'index.ts') return [`${file}: imports the barrel ${resolved}`];
  if (into === folder) return [];
  const below = LAYER[into];
  const wrong = `${file} (layer ${layer}): imports ${resolved} (layer ${below ?? 'none'}), which is not below it`;
  if (below === undefined || below >= layer) return [wrong];
  if (folder !== 'web' || below <= HIGHEST_BELOW_WEB) return [];
  return [`${file}: imports ${resolved} (layer ${below}); the page stands on layers 0 to ${HIGHEST_BELOW_WEB}`];
}

function packageOrNode(file: string, folder: string, layer: number, target: string): string[] {
  const isNode = target.startsWith('node:');
  if (isNode && layer >= FIRST_LAYER_WITH_NODE && folder !== 'web') return [];
  if (!isNode && PACKAGE_DOORS[target] === file) return [];
  if (isNode || layer < FIRST_LAYER_WITH_NODE) {
    const who = folder === 'web' ? 'the page imports' : `layers below ${FIRST_LAYER_WITH_NODE} import`;
    return [`${file} (layer ${layer}): imports ${target}; ${who} only the project's own files`];
  }
  return [`${file}: imports the package ${target}; ${PACKAGE_DOORS[target] ?? 'no file'} may`];
}

/** src/index.ts: what it names must need Node alone, and nothing of the command line. */
function complaintsOfIndex(file: string, target: string): string[] {
  const layer = target.startsWith('./') ? LAYER[target.split('/')[1]!] : undefined;
  if (layer !== undefined && layer <= HIGHEST_BELOW_INDEX) return [];
  return [`${file}: imports ${target}; the library is layers 0 to ${HIGHEST_BELOW_INDEX}`];
}

/** Both kinds of path as seen from src/, where the page is `web/...`: it reaches the layers by ../src/. */
function resolve(file: string, target: string): string {
  const resolved = path.posix.normalize(path.posix.join(path.posix.dirname(file), target));
  return file.startsWith('web/') ? resolved.replace(/^src\//, '') : resolved;
}

if (import.meta.main) {
  const root = path.join(import.meta.dirname, '..');
  const read = (folder: string, files: string[], prefix: string) =>
    files.flatMap((file) => complaintsOf(prefix + file, readFileSync(path.join(root, folder, file), 'utf8')));
  const complaints = ['src', 'web'].flatMap((folder) =>
    read(folder, globSync('**/*.ts', { cwd: path.join(root, folder) }), folder === 'web' ? 'web/' : ''),
  );
  for (const complaint of complaints) console.error(complaint);
  if (complaints.length > 0) process.exit(1);
  console.log('layers: every import points down');
}
