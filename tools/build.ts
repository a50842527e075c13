/** Makes dist/ from src/ and web/: JavaScript, types, the page. `node tools/build.ts DIR` makes it in another folder. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bundle } from './bundle.ts';
import { emitDeclarations } from './declarations.ts';
import { libraryTypes } from './library-types.ts';
import { licences } from './licences.ts';
import { outputFolder } from './output-folder.ts';

const root = path.join(import.meta.dirname, '..');
const out = outputFolder(process.argv[2], path.join(root, 'dist'), 'index.js');

await bundle(out);
chmodSync(path.join(out, 'cli/main.js'), 0o755); // its first line names node
declarations();
writeFileSync(path.join(out, 'third-party.txt'), licences('prom-client'));

/** The types of the library, as one file. */
function declarations(): void {
  const all = mkdtempSync(path.join(tmpdir(), 'kvmclock-types-'));
  const compiles = emitDeclarations(all);
  if (compiles) writeFileSync(path.join(out, 'index.d.ts'), libraryTypes(all));
  rmSync(all, { recursive: true });
  if (!compiles) process.exit(1);
}
