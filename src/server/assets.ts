/**
 * The files of the page, each under the path that it is asked for by. The list is made once, and a request is looked up in it:
 * no path of a request ever becomes a path of a file.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export interface Asset {
  /** Media type. */
  readonly type: string;
  bytes(): Buffer;
}

export type Assets = ReadonlyMap<string, Asset>;

/** By the file's ending: a file with another one is no part of the page. */
export const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.ts': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};

/** The page: of the package as the build made it, of the repository as it stands there. */
export async function pageAssets(): Promise<Assets> {
  const assets = import.meta.url.endsWith('.ts')
    ? (await import('./source-assets.ts')).sourceAssets(path.join(import.meta.dirname, '../..'))
    : builtAssets(path.join(import.meta.dirname, '../web'));
  const front = assets.get('/index.html');
  return front === undefined ? assets : new Map([...assets, ['/', front]]);
}

/** What stands in `folder`, kept in memory; nothing where it is not there. */
export function builtAssets(folder: string): Assets {
  const files = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
  return new Map(
    files.flatMap((file): [string, Asset][] => {
      const type = TYPES[path.extname(file)];
      if (type === undefined) return [];
      const bytes = readFileSync(path.join(folder, file));
      return [[`/${file}`, { type, bytes: () => bytes }]];
    }),
  );
}
