/** Makes dist/ from src/: JavaScript and types. `node tools/build.ts DIR` makes it in another folder. */
import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');
const out = path.resolve(process.argv[2] ?? path.join(root, 'dist'));

rmSync(out, { recursive: true, force: true });
const compiler = path.join(root, 'node_modules/.bin/tsc');
const { status } = spawnSync(compiler, ['-p', path.join(root, 'tsconfig.build.json'), '--outDir', out], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(status ?? 1);
chmodSync(path.join(out, 'cli/main.js'), 0o755); // its first line names node
