/**
 * Other versions of Node for the tests of the built package: `node tools/other-nodes.ts` installs them from the registry
 * into a folder outside the repository (KVMCLOCK_NODES, or the user's cache). A test that wants one asks `otherNode`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/** The last release of each line when this was written; the first with node:ffi behind its flag, and the first without. */
const VERSIONS = { '20': '20.20.2', '22': '22.23.3', '24': '24.21.0', '26.1': '26.1.0', '26.9': '26.9.0' } as const;

export type OtherNode = keyof typeof VERSIONS;

const { KVMCLOCK_NODES, XDG_CACHE_HOME, PATH = '' } = process.env;
const folder = KVMCLOCK_NODES || path.join(XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'kvmclock', 'nodes');

/** npm has the bare executable of Node under this name. */
const packageName = `node-${process.platform}-${process.arch}`;

const installed = (line: OtherNode) => path.join(folder, line, 'node_modules', packageName, 'bin', 'node');

/** The executable of a Node of this line, if this machine has one: as installed here, or the one on the PATH. */
export function otherNode(line: OtherNode): string | undefined {
  const candidates = [installed(line), ...PATH.split(path.delimiter).map((entry) => path.join(entry, 'node'))];
  return candidates.find((file) => existsSync(file) && versionOf(file).startsWith(`v${line}.`));
}

/** What a test says when it skips for want of it. */
export function missingNode(line: string): string {
  return `Node ${line} is not here; node tools/other-nodes.ts installs it`;
}

function versionOf(file: string): string {
  return spawnSync(file, ['--version'], { encoding: 'utf8' }).stdout ?? '';
}

if (import.meta.main) {
  for (const [line, version] of Object.entries(VERSIONS) as [OtherNode, string][]) {
    const prefix = path.join(folder, line);
    if (otherNode(line) === undefined) {
      mkdirSync(prefix, { recursive: true });
      const options = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
      execFileSync('npm', ['install', ...options, '--prefix', prefix, `${packageName}@${version}`], {
        stdio: 'inherit',
      });
    }
    console.log(`Node ${line}: ${otherNode(line) ?? 'could not be installed'}`);
  }
}
