/** Programs of Debian that tests use where they are there. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

const { PATH = '' } = process.env;

/** The path of `command`, or undefined where it is not on the PATH. */
export function found(command: string): string | undefined {
  return PATH.split(path.delimiter)
    .map((folder) => path.join(folder, command))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** What a test gives as its `skip`: false where `command` is there, else the reason. */
export function without(command: string, debianPackage: string): false | string {
  return found(command) === undefined ? `${command} is not here; it is in Debian's ${debianPackage}` : false;
}

/** Runs `command` to its end, `input` on its standard input. */
export function run(command: string, args: readonly string[], input = '') {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', input });
  return { status, output: stdout + stderr };
}
