/**
 * The types of the library in one file: what src/index.ts exports and whatever that names, each declaration with its docstring,
 * and nothing else of the files that they stand in.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { bareCode, type Declaration, declarationsIn, exportsOf, importsOf } from './declarations.ts';

/** A type that tsc names by its file: `import("./policy.ts").Freeze`. */
const NAMED_BY_FILE = /\bimport\("(\.[^"]+)\.ts"\)\.(\w+)/g;

interface File {
  readonly declared: ReadonlyMap<string, Declaration>;
  /** The file of each name that is not declared here. */
  readonly elsewhere: ReadonlyMap<string, string>;
}

/** From a folder of .d.ts files. Throws where two declarations that are needed have one name. */
export function libraryTypes(folder: string): string {
  const files = new Map<string, File>();
  const fileOf = (file: string): File => {
    const known = files.get(file) ?? parsed(readFileSync(path.join(folder, `${file}.d.ts`), 'utf8'), file);
    files.set(file, known);
    return known;
  };
  const exported = exportsOf(readFileSync(path.join(folder, 'index.d.ts'), 'utf8'));
  const needed = new Map(exported.map(({ name, file }) => [name, file]));
  const texts: string[] = [];
  for (const [name, file] of needed) {
    const { declared, elsewhere } = fileOf(file);
    const { doc, text } = declared.get(name) ?? missing(name, file);
    for (const used of namesIn(text)) {
      const from = declared.has(used) ? file : elsewhere.get(used);
      if (from === undefined) continue; // a type parameter, or JavaScript's own
      if (needed.has(used) && needed.get(used) !== from)
        throw new Error(`${used} is of ${from} and ${needed.get(used)}`);
      needed.set(used, from); // the loop goes on to what is added
    }
    texts.push(`${doc}${doc === '' ? '' : '\n'}${ambient(text.replaceAll(NAMED_BY_FILE, '$2'))}`);
  }
  return `${texts.join('\n')}\nexport { ${exported.map(({ name }) => name).join(', ')} };\n`;
}

function parsed(source: string, file: string): File {
  const declared = new Map(declarationsIn(source).map((declaration) => [declaration.name, declaration]));
  const byFile = Array.from(source.matchAll(NAMED_BY_FILE), ([, from, name]) => {
    return [name!, path.posix.join(path.posix.dirname(file), from!)] as const;
  });
  return { declared, elsewhere: new Map([...importsOf(source, file), ...byFile]) };
}

/** Types begin with a capital; a value is named by `typeof`. */
function namesIn(text: string): string[] {
  return bareCode(text).match(/\b[A-Z]\w*|(?<=\btypeof )\w+/g) ?? [];
}

/** What has a value is declared, each overload too. */
function ambient(text: string): string {
  return text.replaceAll(/^(?=function |const |class |abstract )/gm, 'declare ');
}

function missing(name: string, file: string): never {
  throw new Error(`${file}.d.ts does not declare ${name}`);
}
