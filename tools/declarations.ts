/** The types of the library as tsc writes them: what the package ships, and what docs/api.md is made from. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');

/** Writes the .d.ts files of all of src/ into `folder`. False where the sources do not compile; they are written even so. */
export function emitDeclarations(folder: string, complain = true): boolean {
  const compiler = path.join(root, 'node_modules/.bin/tsc');
  const options = ['-p', path.join(root, 'tsconfig.build.json'), '--emitDeclarationOnly', '--outDir', folder];
  return spawnSync(compiler, options, { stdio: complain ? 'inherit' : 'ignore' }).status === 0;
}

/** As it stands in a .d.ts file, indented by two. */
export interface Declaration {
  readonly name: string;
  /** The comment above it; empty where there is none. */
  readonly doc: string;
  /** Without `export` and `declare`; the overloads of a function are one. */
  readonly text: string;
}

const STARTS = /^(?:export )?(?:declare )?(?:abstract )?(?:function|const|class|interface|type) (\w+)/;

/** Every declaration at the top level of a .d.ts file, where each begins at the start of a line. */
export function declarationsIn(source: string): Declaration[] {
  const found: Declaration[] = [];
  const lines = source.split('\n').map((line) => line.replace(/^ +/, halved));
  let doc = '';
  for (let at = 0; at < lines.length; at++) {
    const begin = at;
    if (lines[at]!.startsWith('/**')) {
      while (!lines[at]!.endsWith('*/')) at++;
      doc = lines.slice(begin, at + 1).join('\n');
      continue;
    }
    const name = STARTS.exec(lines[at]!)?.[1];
    if (name !== undefined) {
      while (depthOf(lines.slice(begin, at + 1)) > 0) at++;
      const text = lines.slice(begin, at + 1).join('\n');
      const bare = text.replace(/^(?:export )?(?:declare )?/, '');
      const last = found.at(-1);
      if (last?.name === name && bare.startsWith('function'))
        found[found.length - 1] = { ...last, text: `${last.text}\n${bare}` };
      else found.push({ name, doc, text: bare });
    }
    doc = '';
  }
  return found;
}

/** An indentation by fours as one by twos; what is left over stands before the stars of a comment. */
function halved(indent: string): string {
  return indent.slice(0, indent.length - 2 * Math.floor(indent.length / 4));
}

/** How many brackets are open after the lines. */
function depthOf(lines: readonly string[]): number {
  const code = bareCode(lines.join('\n'));
  return (code.match(/[{([]/g) ?? []).length - (code.match(/[})\]]/g) ?? []).length;
}

/** The text without its comments and strings. */
export function bareCode(text: string): string {
  return text.replace(/\/\*.*?\*\/|'[^'\n]*'|"[^"\n]*"/gs, '');
}

/** Each exported name with the file that it comes from, in the order of index.d.ts. */
export function exportsOf(index: string): { readonly name: string; readonly file: string }[] {
  const found = Array.from(index.matchAll(/export (?:type )?\{([^}]+)\} from '\.\/([^']+)\.ts'/g), ([, names, file]) =>
    names!.split(',').map((name) => ({ name: name.trim().replace(/^type /, ''), file: file! })),
  );
  return found.flat();
}

/** Where the names that a .d.ts file takes from others are declared, as paths without an ending. */
export function importsOf(source: string, file: string): ReadonlyMap<string, string> {
  const found = source.matchAll(/^import (?:type )?\{([^}]+)\} from '(\.[^']+)\.ts'/gm);
  const pairs = Array.from(found, ([, names, from]) =>
    names!.split(',').map((name) => {
      return [name.trim().replace(/^type /, ''), path.posix.join(path.posix.dirname(file), from!)] as const;
    }),
  );
  return new Map(pairs.flat());
}
