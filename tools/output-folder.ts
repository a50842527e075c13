/**
 * Where a build goes. What stands there is replaced: so a folder that somebody names must hold an earlier build of the same, or nothing.
 * The usual one is the repository's own.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';

/** `given` by the caller, or `usual`. `mark`: a file that every such build has. Ends the process, in one line, where it must not be used. */
export function outputFolder(given: string | undefined, usual: string, mark: string): string {
  if (given === undefined) return usual;
  if (given.startsWith('-')) refuse(`takes a folder, and no option: ${given}`);
  const folder = path.resolve(given);
  if (!existsSync(folder)) return folder;
  if (!statSync(folder).isDirectory()) refuse(`${folder} is no folder: name another, or remove it`);
  const held = readdirSync(folder);
  if (held.length > 0 && !held.includes(mark)) {
    refuse(`${folder} holds something else than a build, which would be lost: name an empty folder, or remove it`);
  }
  return folder;
}

function refuse(why: string): never {
  console.error(`${path.basename(process.argv[1] ?? 'build')}: ${why}`);
  process.exit(2);
}
