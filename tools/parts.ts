/**
 * Which part of the package each source file goes into. What the library loads is one part; of the command, what is used together
 * is one, so that it loads little more than it runs.
 *
 * What the page loads stands with the page, in web/, and the command loads it from there. But the library is whole without the
 * page, and the page without the library: a file that both need stands with each.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type ChunkingContext, type Plugin, type PreRenderedChunk, rolldown } from 'rolldown';
import { isReader, keptReader, PAGE_SCRIPTS } from './build-page.ts';

const root = path.join(import.meta.dirname, '..');
export const source = path.join(root, 'src');

/** What is started by its path, below src/. */
export const STARTED = [
  'cli/main',
  'machine/warp-worker',
  'machine/kvm/worker',
  'machine/simulated/host-worker',
  'machine/simulated/vcpu-worker',
  'report/check-worker',
];

/** Those whose imports are kept in one part. Whatever else is started, or imported when it is needed, has a part of its own. */
const TOGETHER: Readonly<Record<string, readonly string[]>> = {
  library: ['index'],
  command: ['cli/main'],
  check: ['cli/check', 'cli/replay', 'report/check-worker'],
  vm: ['cli/vm-bench', 'cli/vm-race', 'cli/vm-stress', 'cli/vm-conform', 'cli/vm-run', 'machine/kvm/worker'],
  bench: ['cli/doctor', 'cli/bench'],
  simulated: ['machine/simulated/host-worker', 'machine/simulated/vcpu-worker'],
};

/** Of the page's scripts, and what they import when it is needed. */
const WEB = 'web/';

/** What is begun with, each with the name of its part: the library, the started files, the page's scripts. */
export const STARTS: Readonly<Record<string, string>> = {
  index: path.join(source, 'index.ts'),
  ...Object.fromEntries(STARTED.map((name) => [flat(name), path.join(source, `${name}.ts`)])),
  ...Object.fromEntries(Object.entries(PAGE_SCRIPTS).map(([name, file]) => [WEB + name, path.join(root, file)])),
};

/** The name of a started file's part. */
export function flat(name: string): string {
  return name.replaceAll('/', '-');
}

/** The files that the library needs, and those that the page's scripts hold. */
interface Needed {
  readonly library: ReadonlySet<string>;
  readonly page: ReadonlySet<string>;
}

export async function whatIsNeeded(): Promise<Needed> {
  const reached = async (isStart: (name: string) => boolean): Promise<ReadonlySet<string>> => {
    const files = new Set<string>();
    const seen: Plugin = { name: 'seen', moduleParsed: ({ id }) => void files.add(id) };
    const input = Object.fromEntries(Object.entries(STARTS).filter(([name]) => isStart(name)));
    await (await rolldown({ input, platform: 'node', plugins: [seen] })).generate();
    return files;
  };
  const page = await reached((name) => name.startsWith(WEB));
  return {
    library: await reached((name) => name === 'index'),
    page: new Set([...page].filter((file) => !isReader(file))),
  };
}

/** What follows the path of a file that the page has its own of. */
const PAGES_OWN = '?page';

/** Whether a file is in a script of the page. */
function isPages(id: string, { library, page }: Needed): boolean {
  return id.endsWith(PAGES_OWN) || (page.has(id) && !library.has(id));
}

/** The page's scripts have their own of what the library needs too. The readers they leave as they are, added to `kept`. */
export function pagesOwn(need: Needed, kept: Set<string>): Plugin {
  return {
    name: 'pages-own',
    resolveId: {
      filter: { id: /^\..*\.ts$/ },
      handler(target, importer = root) {
        if (!isPages(importer, need)) return undefined;
        const file = path.join(path.dirname(importer), target);
        return keptReader(file, kept) ?? (need.library.has(file) ? file + PAGES_OWN : undefined);
      },
    },
    load: {
      filter: { id: /\?page$/ },
      handler: (id) => ({ code: readFileSync(id.slice(0, -PAGES_OWN.length), 'utf8'), moduleType: 'ts' }),
    },
  };
}

/** Where a part stands that is not named by `partOf()`: what the page or the command imports when it is needed. */
export function partFile(need: Needed): (part: Pick<PreRenderedChunk, 'facadeModuleId'>) => string {
  return ({ facadeModuleId }) => (isPages(facadeModuleId ?? '', need) ? `${WEB}[name].js` : '[name].js');
}

/** What rolldown knows of the files. */
type Modules = Pick<ChunkingContext, 'getModuleInfo'>;

/**
 * Which part a file goes into: the library's or the command's where that uses it; else the part of the one, or of the two, that use
 * it; or what all others share. With the page, what the command uses as well is apart from what only the page does.
 */
export function partOf(need: Needed): (id: string, modules: Modules) => string | null {
  let users: ReadonlyMap<string, ReadonlySet<string>> | undefined;
  return (id, modules) => {
    if (Object.values(STARTS).includes(id)) return null; // it acts when it is loaded
    users ??= usersOf(need, modules);
    const names = [...(users.get(id) ?? [])].sort();
    if (!isPages(id, need)) {
      for (const first of ['library', 'command']) if (names.includes(first)) return first;
      return joined(names);
    }
    const ofPage = names.filter((name) => name.startsWith(WEB)).map((name) => name.slice(WEB.length));
    if (ofPage.length < names.length) return `${WEB}${joined(ofPage)}-command`;
    return ofPage.length === 1 ? null : WEB + joined(ofPage); // what one script alone uses is in that script
  };
}

function joined(names: readonly string[]): string {
  return names.length > 2 ? 'shared' : names.join('-');
}

/** The parts that use each file. */
function usersOf(need: Needed, modules: Modules): ReadonlyMap<string, ReadonlySet<string>> {
  const users = new Map<string, Set<string>>();
  const starts = new Set(Object.values(STARTS));
  for (const start of starts) {
    const part = isPages(start, need) ? WEB + path.basename(start, '.ts') : partStartedBy(start);
    const reached = new Set([start]);
    for (const id of reached) {
      users.set(id, (users.get(id) ?? new Set()).add(part));
      const { importedIds = [], dynamicallyImportedIds = [] } = modules.getModuleInfo(id) ?? {};
      for (const imported of importedIds) reached.add(imported); // both loops go on to what is added
      for (const imported of dynamicallyImportedIds) starts.add(imported);
    }
  }
  return users;
}

function partStartedBy(start: string): string {
  const name = path.relative(source, start).replace(/\.ts$/, '');
  return Object.keys(TOGETHER).find((key) => TOGETHER[key]!.includes(name)) ?? path.basename(name);
}
