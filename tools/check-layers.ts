/**
 * Fails on an import that points up or sideways: a file may import from its own folder and from the layers below.
 * Layers 0 to 2 may import no `node:` module, and no file may import a barrel (an index.ts) of a folder.
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
  cli: 5,
};
const FIRST_LAYER_WITH_NODE = 3;
const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^;]*?from\s*'([^']+)'|(?:^|\n)\s*import\s*'([^']+)'|import\(\s*'([^']+)'\s*\)|new URL\(\s*'([^']+\.ts)'/g;

/** The complaints about one source file, given its path below src/ and its text. */
export function complaintsOf(file: string, text: string): string[] {
  const folder = file.split('/')[0]!;
  if (!file.includes('/')) return []; // src/index.ts: the public names
  const layer = LAYER[folder];
  if (layer === undefined) return [`${file}: folder ${folder}/ has no layer`];
  const complaints: string[] = [];
  for (const match of text.matchAll(IMPORT)) {
    const target = match.slice(1).find((group) => group !== undefined)!;
    if (target.startsWith('.')) {
      const resolved = path.posix.normalize(path.posix.join(path.posix.dirname(file), target));
      const into = resolved.split('/')[0]!;
      const below = LAYER[into];
      if (path.posix.basename(resolved) === 'index.ts') complaints.push(`${file}: imports the barrel ${resolved}`);
      else if (into !== folder && (below === undefined || below >= layer)) {
        complaints.push(
          `${file} (layer ${layer}): imports ${resolved} (layer ${below ?? 'none'}), which is not below it`,
        );
      }
    } else if (layer < FIRST_LAYER_WITH_NODE) {
      complaints.push(
        `${file} (layer ${layer}): imports ${target}; layers below ${FIRST_LAYER_WITH_NODE} import only the project's own files`,
      );
    }
  }
  return complaints;
}

if (import.meta.main) {
  const root = path.join(import.meta.dirname, '../src');
  const complaints = globSync('**/*.ts', { cwd: root }).flatMap((file) =>
    complaintsOf(file, readFileSync(path.join(root, file), 'utf8')),
  );
  for (const complaint of complaints) console.error(complaint);
  if (complaints.length > 0) process.exit(1);
  console.log('layers: every import points down');
}
