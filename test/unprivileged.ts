/** For tests of what may not be done: root may do it, so they run as somebody else. */

const NOBODY = 65534;

/** Runs `body` with no privileges; where it returns a promise, until that is settled. */
export async function unprivileged<T>(body: () => T | Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return await body();
  process.seteuid?.(NOBODY);
  try {
    return await body();
  } finally {
    process.seteuid?.(0);
  }
}
