import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildPage } from '../../tools/build-page.ts';
import { bundle } from '../../tools/bundle.ts';
import { loadedBy } from './loaded.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-parts-'));
const dist = path.join(folder, 'dist');
const web = path.join(dist, 'web');
/** The page, built without the command. */
const alone = path.join(folder, 'alone');
before(async () => {
  await bundle(dist);
  await buildPage(alone);
});
after(() => rmSync(folder, { recursive: true }));

const filesIn = (at: string): string[] =>
  readdirSync(at, { recursive: true, encoding: 'utf8' }).filter((file) => statSync(path.join(at, file)).isFile());
const within = (at: string, files: Iterable<string>): string[] => Array.from(files, (file) => path.relative(at, file));
const sizeOf = (at: string, files: readonly string[]): number =>
  files.reduce((sum, file) => sum + statSync(path.join(at, file)).size, 0);
const scriptsIn = (at: string): string[] => filesIn(at).filter((file) => file.endsWith('.js'));

/** The page's scripts and its workers', what its document refers to, and the sources of the readers among these. */
function usedByPage(at: string): Set<string> {
  const document = readFileSync(path.join(at, 'index.html'), 'utf8');
  const used = new Set([
    'index.html',
    ...Array.from(document.matchAll(/(?:src|href)="([\w.]+)"/g), ([, file]) => file!),
  ]);
  for (const file of used) {
    if (!file.endsWith('.js')) continue;
    for (const loaded of within(at, loadedBy(path.join(at, file)))) used.add(loaded);
    const workers = readFileSync(path.join(at, file), 'utf8').matchAll(/["`']\.\/([\w-]+-worker\.js)["`']/g);
    for (const [, worker] of workers) used.add(worker!); // the loop goes on to what is added
    const reader = /^src\/(guest\/[\w-]+)\.js$/.exec(file)?.[1];
    if (reader !== undefined) used.add(`source/${reader}.ts.txt`);
  }
  return used;
}

/** Files of the page's folder that the page has no use for; uPlot's licence stands beside uPlot. */
function parked(at: string): string[] {
  const used = usedByPage(at);
  return filesIn(at).filter((file) => !used.has(file) && file !== 'third-party.txt');
}

describe('the parts of the package', () => {
  test('every file that stands with the page is loaded or shown by the page, and another one would be noticed', () => {
    assert.ok(usedByPage(web).has('check-worker.js') && usedByPage(web).has('source/guest/landed.ts.txt'));
    assert.deepEqual(parked(web), []);
    const other = path.join(folder, 'other');
    cpSync(web, other, { recursive: true });
    writeFileSync(path.join(other, 'command.js'), 'export {};');
    assert.deepEqual(parked(other), ['command.js']);
  });

  test("the page's scripts hold no more than where the page is built without the command", () => {
    const [here, there] = [web, alone].map((at) => sizeOf(at, scriptsIn(at))) as [number, number];
    assert.ok(here < there * 1.01, `${here} bytes, ${there} alone`);
    const most = Math.max(...scriptsIn(dist).map((file) => sizeOf(dist, [file])));
    assert.ok(most > there * 0.01, 'a part of the command among them would be seen');
  });

  test('the library loads nothing of the page, and the page nothing of the library', () => {
    const library = within(dist, loadedBy(path.join(dist, 'index.js')));
    assert.ok(library.length > 1 && library.every((file) => /^[\w-]+\.js$/.test(file)), library.join());
    const page = within(dist, loadedBy(path.join(web, 'main.js')));
    assert.ok(page.length > 1 && page.every((file) => file.startsWith('web/')), page.join());
  });

  test('the checker stands once, with the page, and the command loads it from there and nothing that draws', () => {
    const phrase = 'it keeps state outside its call';
    const holding = scriptsIn(dist).filter((file) => readFileSync(path.join(dist, file), 'utf8').includes(phrase));
    assert.equal(holding.length, 1, holding.join());
    const command = within(dist, loadedBy(path.join(dist, 'cli-main.js')));
    assert.ok(
      holding.every((file) => file.startsWith('web/') && command.includes(file)),
      holding.join(),
    );
    const drawing = scriptsIn(web).filter((file) => /\bdocument\./.test(readFileSync(path.join(web, file), 'utf8')));
    assert.ok(drawing.length > 1);
    for (const file of drawing) assert.ok(!command.includes(path.join('web', file)), file);
  });
});
