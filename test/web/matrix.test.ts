import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { Finding } from '../../src/checker/check.ts';
import { LETTERS, mostTelling } from '../../src/checker/explain.ts';
import { DEFAULT_BOUNDS } from '../../src/checker/explore.ts';
import { matrix } from '../../src/checker/matrix.ts';
import type { Configuration } from '../../src/checker/scenarios.ts';
import type { VerdictShape } from '../../src/report/check.ts';
import { runChecks } from '../../src/report/check-run.ts';
import { program } from '../cli/captured.ts';
import { keepScreenshot, NARROW, skip, WIDE } from './browser.ts';
import { faint, overflow, unnamed } from './in-page.ts';
import { choice, opened, ready, text, traced } from './opened.ts';

/** Of a cell: its letters, and where it leads. */
type Cell = readonly [letters: string, href: string];
type Verdicts = readonly { readonly violated: readonly Finding[] }[];

const EXPLORE_MS = 180_000; // on two cores that are busy with something else

/** Explores what is chosen, and gives the cells in the order of the table: reader by reader, host by host, update by update. */
async function explored(page: Page, configurations: number): Promise<Cell[]> {
  await page.getByRole('button', { name: 'Explore' }).click();
  await page.locator('#matrix-stop[disabled]').waitFor({ state: 'attached', timeout: EXPLORE_MS });
  assert.match(await text(page, 'matrix-status'), new RegExp(`^All ${configurations} configurations explored`));
  return await page
    .locator('#matrix-cells td')
    .evaluateAll((cells) =>
      cells.map((cell): Cell => [cell.textContent!, cell.querySelector('a')?.getAttribute('href') ?? '']),
    );
}

const cellsOf = (verdicts: Verdicts): Cell[] =>
  verdicts.map(({ violated }) => [
    violated.map(({ property }) => LETTERS[property]).join('') || '-',
    violated.length === 0 ? '' : `#race/${mostTelling(violated)!.replay}`,
  ]);

/** What `kvmclock check --all` finds, by its own way of running the checker. */
async function found(configurations: readonly Configuration[]): Promise<Verdicts> {
  const jobs = configurations.map((configuration) => ({ configuration, bounds: DEFAULT_BOUNDS }));
  const verdicts = await runChecks(jobs, () => undefined);
  for (const { complete } of verdicts) assert.ok(complete);
  return verdicts;
}

describe('the view of the matrix', { skip }, () => {
  test('what it shows by default, every reader under every host at every update, is what the command finds', async (t) => {
    const expected = cellsOf(await found(matrix(['sc']).filter(({ writer }) => writer === 'today')));
    const page = await opened(t, '#matrix');
    await ready(page, 'matrix-reader');
    assert.deepEqual(await explored(page, 96), expected);
    assert.ok(new Set(expected.map(([letters]) => letters)).size > 3, 'cells that all say the same show nothing');
  });

  test('of every writer it shows the verdicts that the command prints, and each cell leads to its trace', async (t) => {
    const { stdout } = await program(['check', 'rfc', '--all', '--memory', 'sc', '--json']);
    const { verdicts } = JSON.parse(stdout) as { verdicts: readonly VerdictShape[] };
    const page = await opened(t, '#matrix');
    await ready(page, 'matrix-reader');
    await choice(page, 'matrix', 'Reader').selectOption('rfc');
    const shown = new Set<string>();
    for (const writer of ['2014', '2015', 'today', 'xen']) {
      await choice(page, 'matrix', 'Writer').selectOption(writer);
      const cells = await explored(page, 16);
      assert.deepEqual(cells, cellsOf(verdicts.filter((verdict) => verdict.writer === writer)), writer);
      shown.add(cells.map(([letters]) => letters).join());
    }
    assert.ok(shown.size > 1, 'writers that all show the same could be taken for each other');
    await page.locator('#matrix-cells a').first().click();
    await traced(page);
    assert.match(await text(page, 'race-trace-what'), /^rfc under none, writer xen/);
  });

  test('it can be stopped, and what was explored is kept', async (t) => {
    const page = await opened(t, '#matrix');
    await ready(page, 'matrix-reader');
    await page.getByRole('button', { name: 'Explore' }).click();
    await page.waitForFunction(() => document.querySelector('#matrix-cells a') !== null);
    assert.equal(await page.getByRole('button', { name: 'Explore' }).isEnabled(), false);
    assert.ok(page.workers().length > 0);
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.waitForFunction(() => document.getElementById('matrix-status')!.textContent === 'Stopped.');
    assert.ok((await page.locator('#matrix-cells a').count()) > 0);
    assert.equal(await page.getByRole('button', { name: 'Explore' }).isEnabled(), true);
    while (page.workers().length > 0) await page.waitForEvent('close', { timeout: 50 }).catch(() => {});
  });

  test('it is readable, named and no wider than its window', async (t) => {
    const page = await opened(t, '#matrix');
    await ready(page, 'matrix-reader');
    await choice(page, 'matrix', 'Reader').selectOption('landed');
    await page.getByRole('button', { name: 'Explore' }).click();
    await page.waitForFunction(() => document.getElementById('matrix-status')!.textContent!.startsWith('All 16'));
    for (const width of [NARROW, WIDE]) {
      await page.setViewportSize({ width, height: 900 });
      assert.deepEqual(await page.evaluate(faint), []);
      assert.deepEqual(await page.evaluate(unnamed), []);
      assert.equal(await page.evaluate(overflow), 0);
      await keepScreenshot(page, `matrix-${width}`);
    }
  });
});
