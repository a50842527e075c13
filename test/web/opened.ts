/** The page, opened at a view, and what the tests of its views take hold of. */
import type { TestContext } from 'node:test';
import type { Page } from 'playwright-core';
import { type Assets, pageAssets } from '../../src/server/assets.ts';
import { serving } from '../server/serving.ts';
import { newPage, type PageOptions } from './browser.ts';

export async function opened(t: TestContext, hash: string, options: PageOptions = {}, assets?: Assets): Promise<Page> {
  const page = await newPage(t, options);
  const server = await serving(t, {}, { assets: assets ?? (await pageAssets()) });
  await page.goto(`http://127.0.0.1:${server.port}/${hash}`);
  return page;
}

export const text = (page: Page, id: string) => page.locator(`#${id}`).innerText();

/** The select `id` has its options, so the view's script has run. */
export const ready = (page: Page, id: string) =>
  page.waitForFunction((select) => document.querySelectorAll(`#${select} option`).length > 0, id);

export const choice = (page: Page, view: string, name: string) => page.locator(`#${view}-form`).getByLabel(name);

export const traced = (page: Page) => page.waitForFunction(() => !document.getElementById('race-trace')!.hidden);
