import { readFileSync } from 'node:fs';

/** The version of this package, by its package.json: two folders up, from src/cli as from dist/cli. */
export function version(): string {
  const packageFile = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version;
}
