/** What built files load. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

const IMPORTED = /(?:from|import\(?)\s*["`'](\.[^"`']+\.js)["`']/g;

/** A built file and all that it imports, at once or later, by their paths. */
export function loadedBy(start: string): ReadonlySet<string> {
  const files = new Set([start]);
  for (const file of files) {
    for (const [, to] of readFileSync(file, 'utf8').matchAll(IMPORTED)) {
      files.add(path.resolve(path.dirname(file), to!)); // the loop goes on to what is added
    }
  }
  return files;
}
