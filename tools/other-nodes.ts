/**
 * Other versions of Node for the tests of the built package: `node tools/other-nodes.ts` installs them from the registry
 * into a folder outside the repository (KVMCLOCK_NODES, or the user's cache). A test that wants one asks `otherNode`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/** The last release of each line when this was written. */
const VERSIONS: Readonly<Record<number, string>> = { 20: '20.20.2', 22: '22.23.3', 24: '24.21.0' };

const { KVMCLOCK_NODES, XDG_CACHE_HOME, PATH = '' } = process.env;
const folder = KVMCLOCK_NODES || path.join(XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'kvmclock', 'nodes');

/** npm has the bare executable of Node under this name. */
const packageName = `node-${process.platform}-${process.arch}`;

const installed = (major: number) => path.join(folder, String(major), 'node_modules', packageName, 'bin', 'node');

/** The executable of Node `major`, if this machine has one: as installed here, or the one on the PATH. */
export function otherNode(major: number): string | undefined {
  const candidates = [installed(major), ...PATH.split(path.delimiter).map((entry) => path.join(entry, 'node'))];
  return candidates.find((file) => existsSync(file) && versionOf(file).startsWith(`v${major}.`));
}

/** What a test says when it skips for want of it. */
export function missingNode(major: number): string {
  return `Node ${major} is not here; node tools/other-nodes.ts installs it`;
}

function versionOf(file: string): string {
  return spawnSync(file, ['--version'], { encoding: 'utf8' }).stdout ?? '';
}

if (import.meta.main) {
  for (const [major, version] of Object.entries(VERSIONS)) {
    const prefix = path.join(folder, major);
    if (otherNode(Number(major)) === undefined) {
      mkdirSync(prefix, { recursive: true });
      const options = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
      execFileSync('npm', ['install', ...options, '--prefix', prefix, `${packageName}@${version}`], {
        stdio: 'inherit',
      });
    }
    console.log(`Node ${major}: ${otherNode(Number(major)) ?? 'could not be installed'}`);
  }
}
