/**
 * Makes docs/api.md from the docstrings of what src/index.ts exports: `npm run api-docs`. It reads the declarations
 * that tsc writes, where a declaration begins at the start of a line and what is private is gone.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bareCode, type Declaration, declarationsIn, emitDeclarations, exportsOf, importsOf } from './declarations.ts';

const FILE = path.join(import.meta.dirname, '../docs/api.md');

/** The folders in the order of the page, with what each is for. */
const SECTIONS: Readonly<Record<string, string>> = {
  machine: "Reading this VM's clock",
  hypervisor: "Keeping a guest's clock",
  guest: 'Readers',
  abi: 'The record',
  scale: 'Cycles and nanoseconds',
};

/** Of a constant object that holds others, its keys alone: what they hold is in its type. */
function shortened(text: string): string {
  if (!/^const \w+: \{/.test(text) || !/^ {4}/m.test(text)) return text;
  const keys = Array.from(text.matchAll(/^ {2}readonly ('[^']+'|\w+):/gm), ([, key]) => `  readonly ${key}: ...;`);
  return `${text.split('\n')[0]}\n${keys.join('\n')}\n};`;
}

/** A docstring as Markdown. */
export function markdown(doc: string): string {
  const text = doc.split('\n').map((line) => line.replace(/^\s*(?:\/\*\*|\*\/|\*) ?/, '').replace(/\s*\*\/$/, ''));
  return text
    .join('\n')
    .trim()
    .replace(/^ {2}(.*)$/gm, '    $1');
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
    return declaration === undefined ? undefined : { ...declaration, text: shortened(declaration.text), file };
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
    for (const [name] of bareCode(text).matchAll(/\b[A-Z]\w+/g)) {
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
  return [`### ${name}`, ...(doc === '' ? [] : [markdown(doc)]), `\`\`\`mts\n${text}\n\`\`\``, source].join('\n\n');
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
