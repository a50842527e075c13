/** Debian's chromium, without a window, and pages in it that notice what goes wrong. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, type TestContext } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { found, without } from '../tools/debian.ts';

export const skip = without('chromium', 'chromium');

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
const QUIET = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];
/** Screenshots of the tests are kept here, for people. */
const ARTEFACTS = path.join(import.meta.dirname, '../../artefacts');

export const WIDE = 1600;
export const NARROW = 360;

let browser: Browser | undefined;
before(async () => {
  if (skip !== false) return;
  browser = await chromium.launch({ executablePath: found('chromium')!, headless: true, args: [...FLAGS, ...QUIET] });
});
after(() => browser?.close());

export interface PageOptions {
  readonly width?: number;
  readonly scheme?: 'light' | 'dark';
  /** Messages on the console that the test brings about itself. */
  readonly expected?: RegExp;
}

/**
 * A page of its own, which ends with the test: and the test fails where the page had an error, said anything on its console, or
 * asked any other server than its first for anything. To be called before the server is started, so that it ends first.
 */
export async function newPage(t: TestContext, options: PageOptions = {}): Promise<Page> {
  const { width = WIDE, scheme = 'light', expected } = options;
  const context = await browser!.newContext({ viewport: { width, height: 900 }, colorScheme: scheme });
  const page = await context.newPage();
  const wrong: string[] = [];
  let home: string | undefined;
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('console', (message) => {
    if (!expected?.test(message.text())) wrong.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on('request', (request) => {
    const { origin } = new URL(request.url());
    home ??= origin;
    if (origin !== home) wrong.push(`asked for ${request.url()}`);
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(wrong, []);
  });
  return page;
}

/** Keeps what the page looks like as artefacts/NAME.png. */
export async function keepScreenshot(page: Page, name: string): Promise<void> {
  mkdirSync(ARTEFACTS, { recursive: true });
  await page.screenshot({ path: path.join(ARTEFACTS, `${name}.png`), fullPage: true });
}
