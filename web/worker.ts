/** Starts the page's own workers, from source (.ts) and as built alike: there everything stands in one folder, and ends in .js. */

/** `built`: the file beside `base` (an import.meta.url), by the name that it has when built. */
export function startWorker(built: string, base: string): Worker {
  const file = base.endsWith('.ts') ? built.replace(/\.js$/, '.ts') : built;
  return new Worker(new URL(file, base), { type: 'module' });
}

/** What went wrong, in words that can be sent and shown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
