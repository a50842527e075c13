import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { written } from '../../src/checker/export/written.ts';
import { type Configuration, DEFAULT_CONFIGURATION, scenarioOf } from '../../src/checker/scenarios.ts';
import { builtAssets, pageAssets } from '../../src/server/assets.ts';
import { buildPage } from '../../tools/build-page.ts';
import { skip } from './browser.ts';
import { choice, opened, ready, text } from './opened.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-page-'));
after(() => rmSync(folder, { recursive: true }));

const CHOSEN: Configuration = { ...DEFAULT_CONFIGURATION, reader: 'landed', host: 'record0', update: 'set-clock' };

async function choose(page: Page): Promise<void> {
  await ready(page, 'race-reader');
  await choice(page, 'race', 'Reader').selectOption(CHOSEN.reader);
  await choice(page, 'race', 'Held out').selectOption(CHOSEN.host);
  await choice(page, 'race', 'Writer').selectOption(CHOSEN.writer);
  await choice(page, 'race', 'Update').selectOption(CHOSEN.update);
}

/** What each link that is offered saves. */
async function saved(page: Page): Promise<{ readonly name: string; readonly text: string }[]> {
  const links = page.locator('#race-exported a');
  await links.first().waitFor();
  const files: { name: string; text: string }[] = [];
  for (const link of await links.all()) {
    const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
    files.push({ name: download.suggestedFilename(), text: readFileSync(await download.path(), 'utf8') });
  }
  return files;
}

async function staticAssets() {
  await buildPage(folder);
  const assets = builtAssets(folder);
  return new Map([...assets, ['/', assets.get('/index.html')!]]);
}

describe('the view of the race, for other checkers', { skip }, () => {
  for (const [how, assets] of [
    ['from source', pageAssets],
    ['as a static folder', staticAssets],
  ] as const) {
    test(`what is chosen is saved as the command writes it: ${how}`, async (t) => {
      const page = await opened(t, '#race', {}, await assets());
      await choose(page);
      for (const [button, format, name] of [
        ['For Spin', 'promela', 'landed_record0_today_set_clock_sc.pml'],
        ['For TLC', 'tla', 'landed_record0_today_set_clock_sc'],
      ] as const) {
        await page.getByRole('button', { name: button }).click();
        await page.waitForFunction(() => document.getElementById('race-exported')!.textContent !== 'Writing it down.');
        assert.deepEqual(await saved(page), written(scenarioOf(CHOSEN), CHOSEN, format, name, {}).files);
      }
      assert.match(await text(page, 'race-exported'), /^Written down: \S+\.tla and \S+\.cfg$/);
    });
  }

  test('what cannot be written down is told, and why', async (t) => {
    const page = await opened(t, '#race');
    await choose(page);
    await page.route('**/export-worker.*', (route) => route.abort());
    await page.getByRole('button', { name: 'For Spin' }).click();
    await page.getByText('It cannot be written down: the exporter cannot be loaded.').waitFor();
  });
});
