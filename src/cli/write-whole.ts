/** A file that a command was asked to write. */
import { existsSync, lstatSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { UsageError } from './command.ts';
import { quoted } from './dispatch.ts';
import { whyNotWritten } from './failure.ts';

/**
 * Puts a file there whole or not at all: a process that has the old one mapped goes on with that. Throws UsageError, with `option` as
 * what named the file, where it cannot be written.
 */
export function writeWhole(option: string, file: string, content: string | Uint8Array): void {
  if (file === '') throw new UsageError(`${option}: "" names no file; give a path`);
  const beside = `${file}.${process.pid}`;
  try {
    const there = lstatSync(file, { throwIfNoEntry: false });
    if (there?.isDirectory()) throw new UsageError(`${option}: ${quoted(file)} is a directory; name a file in it`);
    if (there === undefined || there.isFile()) {
      writeFileSync(beside, content);
      renameSync(beside, file);
    } else writeFileSync(file, content); // a link, a pipe, a device
  } catch (error) {
    if (existsSync(beside)) rmSync(beside);
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof UsageError || code === undefined) throw error;
    throw new UsageError(`${option}: cannot write ${quoted(file)}: ${whyNotWritten(code)}`);
  }
}
