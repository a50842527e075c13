/** The licences of other packages whose code is made part of what this one ships: each stands beside that code. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

const modules = path.join(import.meta.dirname, '../node_modules');

/** Name, version and licence of each package, as one text. */
export function licences(...packages: readonly string[]): string {
  return packages
    .map((name) => {
      const folder = path.join(modules, name);
      const { version } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as { version: string };
      return `${name} ${version}\n\n${readFileSync(path.join(folder, 'LICENSE'), 'utf8').trim()}\n`;
    })
    .join('\n\n');
}
