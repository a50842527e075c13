/**
 * Makes docs/api.md from the docstrings of what src/index.ts exports: `npm run api-docs`. It reads the declarations
 * that tsc writes, where a declaration begins at the start of a line and what is private is gone.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { emitDeclarations } from './declarations.ts';

const FILE = path.join(import.meta.dirname, '../docs/api.md');

/** The folders in the order of the page, with what each is for. */
const SECTIONS: Readonly<Record<string, string>> = {
  machine: "Reading this VM's clock",
  hypervisor: "Keeping a guest's clock",
  guest: 'Readers',
  abi: 'The record',
  scale: 'Cycles and nanoseconds',
};

export interface Declaration {
  readonly name: string;
  /** The docstring as Markdown; empty where there is none. */
  readonly doc: string;
  /** Without `export` and `declare`. */
  readonly text: string;
}

const STARTS = /^(?:export )?(?:declare )?(?:abstract )?(?:function|const|class|interface|type) (\w+)/;

/** Every declaration at the top level of a .d.ts file; overloads of one function are one. */
export function declarationsIn(source: string): Declaration[] {
  const found: Declaration[] = [];
  const lines = source.split('\n');
  let doc: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const begin = at;
    if (lines[at]!.startsWith('/**')) {
      while (!lines[at]!.endsWith('*/')) at++;
      doc = lines.slice(begin, at + 1);
      continue;
    }
    const name = STARTS.exec(lines[at]!)?.[1];
    if (name !== undefined) {
      while (depthOf(lines.slice(begin, at + 1)) > 0) at++;
      const text = shortened(
        lines
          .slice(begin, at + 1)
          .join('\n')
          .replace(/^export /, '')
          .replace(/^declare /, ''),
      );
      const last = found.at(-1);
      if (last?.name === name && text.startsWith('function'))
        found[found.length - 1] = { ...last, text: `${last.text}\n${text}` };
      else found.push({ name, doc: docOf(doc), text });
    }
    doc = [];
  }
  return found;
}

/** How many brackets are open after the lines. Comments and strings hold none that count. */
function depthOf(lines: readonly string[]): number {
  const code = lines.join('\n').replace(/\/\*.*?\*\/|'[^'\n]*'|"[^"\n]*"/gs, '');
  return (code.match(/[{([]/g) ?? []).length - (code.match(/[})\]]/g) ?? []).length;
}

/** Of a constant object that holds others, its keys alone: what they hold is in its type. */
function shortened(text: string): string {
  if (!/^const \w+: \{/.test(text) || !/^ {8}/m.test(text))
    return text.replace(/^( +)/gm, (indent) => ' '.repeat(indent.length - 2 * Math.floor(indent.length / 4)));
  const keys = Array.from(text.matchAll(/^ {4}readonly ('[^']+'|\w+):/gm), ([, key]) => `  readonly ${key}: ...;`);
  return `${text.split('\n')[0]}\n${keys.join('\n')}\n};`;
}

function docOf(lines: readonly string[]): string {
  const text = lines.map((line) => line.replace(/^\s*(?:\/\*\*|\*\/|\*) ?/, '').replace(/\s*\*\/$/, ''));
  return text
    .join('\n')
    .trim()
    .replace(/^ {2}(.*)$/gm, '    $1');
}

/** Each exported name with the file that it comes from, in the order of index.d.ts. */
export function exportsOf(index: string): { readonly name: string; readonly file: string }[] {
  const found = Array.from(index.matchAll(/export (?:type )?\{([^}]+)\} from '\.\/([^']+)\.ts'/g), ([, names, file]) =>
    names!.split(',').map((name) => ({ name: name.trim().replace(/^type /, ''), file: file! })),
  );
  return found.flat();
}

/** Where the names that a .d.ts file takes from others are declared, as paths without an ending. */
function importsOf(source: string, file: string): ReadonlyMap<string, string> {
  const found = source.matchAll(/^import (?:type )?\{([^}]+)\} from '(\.[^']+)\.ts'/gm);
  const pairs = Array.from(found, ([, names, from]) =>
    names!.split(',').map((name) => {
      return [name.trim().replace(/^type /, ''), path.posix.join(path.posix.dirname(file), from!)] as const;
    }),
  );
  return new Map(pairs.flat());
}

interface Entry extends Declaration {
  /** Below src/, without an ending. */
  readonly file: string;
}

/** The page, from a folder of .d.ts files. */
export function page(folder: string): string {
  const read = (file: string): string => readFileSync(path.join(folder, `${file}.d.ts`), 'utf8');
  const find = (name: string, file: string): Entry | undefined => {
    const declaration = declarationsIn(read(file)).find((candidate) => candidate.name === name);
    return declaration === undefined ? undefined : { ...declaration, file };
  };
  const entries = exportsOf(read('index')).map(({ name, file }) => {
    const found = find(name, file);
    if (found === undefined) throw new Error(`${file}.d.ts does not declare ${name}`);
    if (SECTIONS[file.split('/')[0]!] === undefined) throw new Error(`no section for ${file}`);
    return found;
  });
  const sections = Object.entries(SECTIONS).map(([section, title]) =>
    sectionOf(
      title,
      entries.filter(({ file }) => file.startsWith(`${section}/`)),
    ),
  );
  return `# The library

What \`import ... from 'kvmclock'\` gives. This page is made from the docstrings by \`npm run api-docs\`. Times are in
nanoseconds; what may use 64 bits is a bigint in 0..2^64-1, what is smaller a number.

${[...sections, sectionOf('What these name', namedBy(entries, read, find))].join('\n\n')}
`;
}

/** The types and constants that the entries name and that the library does not export by name. */
function namedBy(
  entries: readonly Entry[],
  read: (file: string) => string,
  find: (name: string, file: string) => Entry | undefined,
): Entry[] {
  const known = new Set(entries.map(({ name }) => name));
  const found: Entry[] = [];
  for (const { text, file } of entries) {
    const imports = importsOf(read(file), file);
    for (const [name] of text.replace(/\/\*.*?\*\/|'[^'\n]*'/gs, '').matchAll(/\b[A-Z]\w+/g)) {
      const named = known.has(name) ? undefined : find(name, imports.get(name) ?? file);
      known.add(name);
      if (named !== undefined) found.push(named);
    }
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Functions come first, then constants, then types. */
function sectionOf(title: string, entries: readonly Entry[]): string {
  const rank = ({ text }: Entry): number => (text.startsWith('function') ? 0 : text.startsWith('const') ? 1 : 2);
  const sorted = entries.toSorted((a, b) => rank(a) - rank(b));
  return [`## ${title}`, ...sorted.map(entryText)].join('\n\n');
}

function entryText({ name, doc, text, file }: Entry): string {
  const source = `[src/${file}.ts](../src/${file}.ts)`;
  return [`### ${name}`, ...(doc === '' ? [] : [doc]), `\`\`\`mts\n${text}\n\`\`\``, source].join('\n\n');
}

/** The page as the sources have it now. */
export function currentPage(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-api-'));
  try {
    emitDeclarations(folder, false);
    return page(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) writeFileSync(FILE, currentPage());
