/**
 * Bun and Deno for the tests of the image: `node tools/other-runtimes.ts` installs them from the registry into a folder
 * outside the repository (KVMCLOCK_RUNTIMES, or the user's cache). A test that wants one asks `otherRuntime`.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/** The packages that hold the bare executables, at their last releases when this was written. */
const RUNTIMES = {
  bun: { package: '@oven/bun-linux-x64', version: '1.4.5', executable: 'bin/bun' },
  deno: { package: '@deno/linux-x64-glibc', version: '2.9.6', executable: 'deno' },
} as const;

export type Runtime = keyof typeof RUNTIMES;

const { KVMCLOCK_RUNTIMES, XDG_CACHE_HOME, PATH = '' } = process.env;
const cache = path.join(XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'kvmclock', 'runtimes');
const folder = KVMCLOCK_RUNTIMES || cache;

function installed(runtime: Runtime): string {
  const { package: name, executable } = RUNTIMES[runtime];
  return path.join(folder, runtime, 'node_modules', name, executable);
}

/** The runtime's executable, if this machine has one: as installed here, or the one on the PATH. */
export function otherRuntime(runtime: Runtime): string | undefined {
  const onPath = PATH.split(path.delimiter).map((entry) => path.join(entry, runtime));
  return [installed(runtime), ...onPath].find((file) => existsSync(file));
}

/** What a test says when it skips for want of it. */
export function missingRuntime(runtime: Runtime): string {
  return `${runtime} is not here; node tools/other-runtimes.ts installs it`;
}

if (import.meta.main) {
  for (const runtime of Object.keys(RUNTIMES) as Runtime[]) {
    const { package: name, version } = RUNTIMES[runtime];
    const prefix = path.join(folder, runtime);
    if (!existsSync(installed(runtime))) {
      mkdirSync(prefix, { recursive: true });
      const options = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
      execFileSync('npm', ['install', ...options, '--prefix', prefix, `${name}@${version}`], { stdio: 'inherit' });
    }
    console.log(`${runtime}: ${installed(runtime)}`);
  }
}
