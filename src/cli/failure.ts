/** What went wrong, in a user's words and on one line. */
import { UsageError } from './command.ts';

/** A UsageError is for the user, and so is what Node's --permission forbids; anything else is a fault of this program, and says where it happened. */
export function failureText(thrown: unknown): string {
  if (thrown instanceof UsageError) return onLine(thrown.message);
  const { code, message, stack }: NodeJS.ErrnoException = thrown instanceof Error ? thrown : new Error(String(thrown));
  if (code === 'ERR_ACCESS_DENIED') return `Node's --permission forbids what this needs; ${allow(message)}`;
  const where = /\bat .*$/m.exec(stack ?? '')?.[0];
  return `${onLine(message)} (a fault of kvmclock itself${where === undefined ? '' : `, ${where}`})`;
}

function allow(message: string): string {
  const flag = /--allow-[a-z-]+/.exec(message)?.[0];
  return flag === undefined ? 'run it without' : `add ${flag}`;
}

/** Without what would break the line, or move a terminal's cursor: a file's name may hold anything. */
const onLine = (text: string): string => text.replaceAll(/\p{Cc}+/gu, ' ');

/** Why a file or a folder could not be written, and what to do, from the system's code for it. */
export function whyNotWritten(code: string): string {
  return NOT_WRITTEN[code] ?? code;
}

const NOT_WRITTEN: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such folder; make it first',
  ENOTDIR: 'a part of its path is no folder; give another path',
  EISDIR: 'it is a directory; name a file in it',
  EACCES: 'you may not write there; give another path',
  EPERM: 'you may not write there; give another path',
  EROFS: 'the file system is read-only; give another path',
  ENOSPC: 'the disk is full; make room or give another path',
  ENAMETOOLONG: 'the name is too long; give a shorter one',
  ERR_ACCESS_DENIED: "Node's --permission forbids it; add --allow-fs-write",
};
