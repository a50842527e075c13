import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { check } from '../../src/checker/check.ts';
import { mostTelling } from '../../src/checker/explain.ts';
import { mutantsIn } from '../../src/checker/mutations/mutations.ts';
import { type Configuration, DEFAULT_CONFIGURATION } from '../../src/checker/scenarios.ts';
import { type Assets, builtAssets, pageAssets } from '../../src/server/assets.ts';
import { buildPage } from '../../tools/build-page.ts';
import { bundle } from '../../tools/bundle.ts';
import { keepScreenshot, NARROW, skip, WIDE } from './browser.ts';
import { faint, overflow, shifted, unnamed, watchShifts } from './in-page.ts';
import { choice, opened, ready, text, traced } from './opened.ts';

const THREAD: Configuration = { ...DEFAULT_CONFIGURATION, reader: 'rfc', writer: '2014' };

const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-page-'));
after(() => rmSync(folder, { recursive: true }));

function assetsIn(built: string): Assets {
  const assets = builtAssets(built);
  return new Map([...assets, ['/', assets.get('/index.html')!]]);
}

/** The page as a static host has it: what needs the server is not there. */
async function staticAssets(): Promise<Assets> {
  await buildPage(path.join(folder, 'page'));
  return assetsIn(path.join(folder, 'page'));
}

/** The page whose scripts the command uses too. */
async function packageAssets(): Promise<Assets> {
  await bundle(path.join(folder, 'dist'));
  return assetsIn(path.join(folder, 'dist/web'));
}

const WAYS = [
  ['from source', pageAssets],
  ['as a static folder', staticAssets],
  ['in the package', packageAssets],
] as const;

/** One click, and the trace is there. */
async function threadExample(page: Page): Promise<void> {
  await ready(page, 'race-reader');
  await page.getByRole('button', { name: "The thread's example" }).click();
  await traced(page);
}

async function steppedToTheEnd(page: Page): Promise<void> {
  const forward = page.getByRole('button', { name: 'Forward' });
  while (await forward.isEnabled()) await forward.click();
}

describe('the view of the race', { skip }, () => {
  for (const [how, assets] of WAYS) {
    test(`one click finds the thread's race, and it is stepped to its end, line by line: ${how}`, async (t) => {
      const page = await opened(t, '#race', {}, await assets());
      await threadExample(page);
      const { states, violated } = check(THREAD);
      const race = mostTelling(violated)!;
      assert.equal(new URL(page.url()).hash, `#race/${race.replay}`);
      assert.match(
        await text(page, 'race-status'),
        new RegExp(`^${states.toLocaleString('en-US')} states in .* 5 of 6`),
      );
      assert.match(await text(page, 'race-trace-title'), new RegExp(`^stale-begin.*: ${race.steps} steps$`));
      assert.equal(await text(page, 'race-at'), `step 1 of ${race.steps}`);
      await steppedToTheEnd(page);
      assert.equal(await text(page, 'race-at'), `step ${race.steps} of ${race.steps}`);
      assert.match(await text(page, 'race-why'), /told of update 1; the stable bit that it used is of update 0\./);
      assert.equal(
        await text(page, 'race-outlook'),
        'The call has returned 117 ns. The record of vCPU 1 itself gives 110 ns.',
      );
      const line = await page.locator('#race-source [aria-current] code').innerText();
      assert.ok(readFileSync('src/guest/rfc.ts', 'utf8').split('\n').includes(line), line);
      assert.match(line, /if \(!readRetry\(cpu, pvti, version\)\) return ns;/);
      assert.match(
        await text(page, 'race-source-inner'),
        /^sequence\.ts:\d+\s+return cpu\.load32\(pvti \+ PVTI\.version\) !== version;$/,
      );
      if (how === 'as a static folder') assert.equal(await page.locator('#machine').count(), 0);
    });
  }

  test('it steps back as it stepped forward, by buttons, by the slider and by the steps themselves', async (t) => {
    const page = await opened(t, '#race');
    await threadExample(page);
    const seen: string[] = [];
    const state = async () =>
      `${await text(page, 'race-at')} ${await text(page, 'race-outlook')} ${await text(page, 'race-records')}`;
    for (let step = 0; step < 19; step++) {
      seen.push(await state());
      await page.getByRole('button', { name: 'Forward' }).click();
    }
    for (const before of seen.toReversed()) {
      await page.getByRole('button', { name: 'Back' }).click();
      assert.equal(await state(), before);
    }
    await page.getByRole('slider').press('End');
    assert.equal(await text(page, 'race-at'), 'step 20 of 20');
    await page.getByRole('slider').press('ArrowLeft');
    assert.equal(await text(page, 'race-at'), 'step 19 of 20');
    await page.getByRole('button', { name: 'step 12', exact: true }).click();
    assert.equal(await state(), seen[11]);
    assert.equal(await page.locator('#race-lanes [aria-current=step] button').innerText(), '12');
  });

  test('a source that comes late is not shown beside another step', async (t) => {
    const page = await opened(t, '#race');
    const late = Promise.withResolvers<void>();
    await page.route('**/source/guest/sequence.ts.txt', async (route) => {
      await late.promise;
      await route.continue();
    });
    await threadExample(page);
    const asked = page.waitForRequest('**/source/guest/sequence.ts.txt');
    await page.getByRole('button', { name: 'Last' }).click();
    await asked;
    await page.getByRole('button', { name: 'First' }).click();
    const came = page.waitForResponse('**/source/guest/sequence.ts.txt');
    late.resolve();
    await (await came).finished();
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)));
    assert.equal((await text(page, 'race-source-inner')).trim(), '');
    assert.equal(await page.locator('#race-source [aria-current]').count(), 0);
    await page.getByRole('button', { name: 'Last' }).click();
    await page.getByText(/^sequence\.ts:\d+ /).waitFor();
  });

  test('it colours each word of a record by its update, and says so in words too', async (t) => {
    const page = await opened(t, '#race');
    await threadExample(page);
    await page.getByRole('button', { name: 'Last' }).click();
    const classes = await page
      .locator('#race-records .update')
      .evaluateAll((cells) => cells.map((cell) => `${cell.className.match(/update-\d/)![0]} ${cell.textContent}`));
    assert.equal(classes.length, 10);
    for (const [place, words] of classes.entries()) {
      assert.match(words, place % 2 === 0 ? /^update-0 .*of update 0$/ : /^update-1 .*of update 1$/);
    }
    const colours = await page
      .locator('#race-records .update')
      .evaluateAll((cells) => cells.map((cell) => getComputedStyle(cell).backgroundColor));
    assert.equal(new Set(colours).size, 2);
  });

  test("it colours each word in the lanes by its update: what the reader uses is not what its vCPU's record has", async (t) => {
    const page = await opened(t, '#race');
    await threadExample(page);
    const words = await page
      .locator('#race-lanes .update')
      .evaluateAll((list) => list.map((word) => `${word.className.match(/update-\d/)![0]} ${word.textContent}`));
    const read = words.filter((word) => word.includes('reads record 0'));
    const written = words.filter((word) => word.includes('writes record 1'));
    assert.equal(read.length, 5); // the flags, then the four words
    assert.ok(written.length > 0);
    for (const word of read) assert.match(word, /^update-0 .*, of update 0$/);
    for (const word of written) assert.match(word, /^update-1 .*, of update 1$/);
  });

  test('a store is coloured when it reaches memory, not while it waits in a buffer', async (t) => {
    const { violated } = check({ ...DEFAULT_CONFIGURATION, reader: 'rfc', memory: 'tso' });
    const page = await opened(t, `#race/${violated.find(({ property }) => property === 'mixed')!.replay}`);
    await traced(page);
    await page.getByLabel('every operation').check();
    const rows = await page.locator('#race-lanes tbody tr').evaluateAll((list) =>
      list.map((row) => {
        const coloured = [...row.querySelectorAll('.update')].map((word) => word.textContent!);
        return [row.textContent!, coloured.join('\n')] as const;
      }),
    );
    const drained = rows.filter(([, coloured]) => / = .* reaches memory/.test(coloured));
    const waiting = rows.filter(([all]) => /writes record \d systemTime/.test(all) && !all.includes('reaches memory'));
    assert.ok(drained.length > 0 && waiting.length > 0);
    for (const [, coloured] of waiting) assert.doesNotMatch(coloured, /writes record/);
  });

  test('by keyboard the steps are one stop, and the arrows go from step to step', async (t) => {
    const page = await opened(t, '#race');
    await threadExample(page);
    await page.locator('#race-lanes-box').focus();
    await page.keyboard.press('Tab');
    const focused = () => page.evaluate(() => document.activeElement!.getAttribute('aria-label'));
    assert.equal(await focused(), 'step 1');
    for (const _ of [2, 3, 4]) await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowUp');
    assert.deepEqual([await focused(), await text(page, 'race-at')], ['step 3', 'step 3 of 20']);
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Records');
  });

  test('by keyboard the last step leaves the focus on the slider, from which there is a way back', async (t) => {
    const page = await opened(t, '#race');
    await threadExample(page);
    await page.locator('#race-forward').focus();
    for (let step = 1; step < 20; step++) await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement!.id), 'race-step');
    await page.keyboard.press('ArrowLeft');
    assert.equal(await text(page, 'race-at'), 'step 19 of 20');
  });

  test('the buttons, the lanes, the records and the source of a step fit into one window', async (t) => {
    const page = await opened(t, '#race', { width: WIDE });
    await threadExample(page);
    const [top, bottom] = await page.evaluate(() => {
      const box = (id: string) => document.getElementById(id)!.getBoundingClientRect();
      return [box('race-first').top, Math.max(box('race-source-box').bottom, box('race-records').bottom)] as const;
    });
    assert.ok(bottom - top < 900, `${bottom - top} px`);
  });

  test('an address opens its trace, and one that is none says so', async (t) => {
    const { replay, steps } = mostTelling(check(THREAD).violated)!;
    const page = await opened(t, `#race/${replay}`);
    await traced(page);
    assert.equal(await text(page, 'race-at'), `step 1 of ${steps}`);
    assert.equal(await text(page, 'race-replay'), `kvmclock replay '${replay}'`);
    assert.equal(await choice(page, 'race', 'Writer').inputValue(), '2014');
    const endless = 'rfc~kvm~2014~unstable~sc~v2t1c1~.b999999999999';
    for (const wrong of ['nonsense', `${replay}QQQQ`, 'rfc~kvm~2014~unstable~sc~v2t1c1~', endless]) {
      await page.evaluate((hash) => {
        location.hash = hash;
      }, `#race/${wrong}`);
      await page.waitForFunction(() => document.getElementById('race-trace')!.hidden);
      assert.match(await text(page, 'race-status'), /^The address holds no execution that can be stepped: /);
      await page.goBack();
      await traced(page);
      assert.match(await text(page, 'race-status'), /^The address holds this execution\. /);
    }
  });

  test('verdicts stand beside traces of their own configuration alone', async (t) => {
    const page = await opened(t, '#race');
    await threadExample(page);
    assert.match(await text(page, 'race-verdicts-of'), /^rfc under kvm, writer 2014, update unstable, memory sc: /);
    const status = await text(page, 'race-status');
    await page.getByRole('link', { name: 'seen: 9 steps' }).click();
    await page.waitForFunction(() => document.getElementById('race-trace-title')!.textContent === 'stable: 9 steps');
    assert.equal(await page.locator('#race-verdicts').isVisible(), true);
    assert.equal(await text(page, 'race-status'), status);
    const other = mostTelling(check({ ...THREAD, writer: '2015' }).violated)!;
    await page.evaluate((hash) => {
      location.hash = hash;
    }, `#race/${other.replay}`);
    await page.waitForFunction(() => document.getElementById('race-trace-what')!.textContent!.includes('writer 2015'));
    assert.equal(await page.locator('#race-verdicts').isVisible(), false);
    assert.match(await text(page, 'race-status'), /^The address holds this execution\. /);
  });

  for (const [how, assets] of WAYS) {
    test(`an address opens the trace of a mutation, and one of an unknown mutation says so: ${how}`, async (t) => {
      const mutated: Configuration = { ...DEFAULT_CONFIGURATION, host: 'all', mutation: 'landed.no-second-look' };
      const { replay, steps } = mostTelling(check(mutated, { mutants: mutantsIn(mutated)! }).violated)!;
      const page = await opened(t, `#race/${replay}`, {}, await assets());
      await traced(page);
      assert.equal(await text(page, 'race-at'), `step 1 of ${steps}`);
      assert.match(await text(page, 'race-trace-what'), /mutation landed\.no-second-look$/);
      await steppedToTheEnd(page);
      assert.match(await page.locator('#race-source [aria-current] code').innerText(), /readCycles/); // its last look
      await page.evaluate((hash) => {
        location.hash = hash;
      }, `#race/${replay}er`);
      await page.waitForFunction(() => document.getElementById('race-trace')!.hidden);
      assert.match(await text(page, 'race-status'), /no mutation is called "landed\.no-second-looker"\.$/);
    });
  }

  test('what holds is said to hold, and a sound configuration shows no trace', async (t) => {
    const page = await opened(t, '#race');
    await ready(page, 'race-reader');
    await choice(page, 'race', 'Reader').selectOption('landed');
    await choice(page, 'race', 'Held out').selectOption('all');
    await page.getByRole('button', { name: 'Check' }).click();
    await page.waitForFunction(() =>
      document.getElementById('race-status')!.textContent!.includes('nothing is violated'),
    );
    const verdicts = await page.locator('#race-always td:last-child').allInnerTexts();
    assert.deepEqual(verdicts, Array(6).fill('holds'));
    assert.match(
      (await page.locator('#race-sometimes td:last-child').allInnerTexts()).join(),
      /^(seen: \d+ steps,?){4}$/,
    );
    assert.equal(await page.locator('#race-trace').isVisible(), false);
  });

  test('store buffers are shown where there are any, and empty when their stores have reached memory', async (t) => {
    const { violated } = check({ ...DEFAULT_CONFIGURATION, reader: 'rfc', memory: 'tso' });
    const page = await opened(t, `#race/${mostTelling(violated)!.replay}`);
    await traced(page);
    const shown: string[] = [];
    for (
      const forward = page.getByRole('button', { name: 'Forward' });
      await forward.isEnabled();
      await forward.click()
    ) {
      shown.push(await text(page, 'race-buffers'));
    }
    assert.ok(
      shown.some((list) => /: \w.* = \w/.test(list)),
      'a store waits',
    );
    assert.ok(
      shown.some((list) => /: nothing/.test(list)),
      'and is gone',
    );
  });

  test('a search can be cancelled, and another begun', async (t) => {
    const page = await opened(t, '#race');
    await ready(page, 'race-reader');
    await choice(page, 'race', 'Memory').selectOption('tso');
    await choice(page, 'race', 'Calls').selectOption('2');
    await choice(page, 'race', 'Writer').selectOption('today');
    await page.getByRole('button', { name: 'Check' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.waitForFunction(() => document.getElementById('race-status')!.textContent === 'Cancelled.');
    await threadExample(page);
  });

  for (const scheme of ['light', 'dark'] as const) {
    for (const width of [NARROW, WIDE]) {
      test(`it is readable, named, no wider than its window, and stands still: ${scheme}, ${width} px`, async (t) => {
        const page = await opened(t, '#race', { width, scheme });
        await threadExample(page);
        await page.getByLabel('every operation').check();
        await page.getByLabel('every operation').uncheck();
        await page.waitForFunction(() => document.querySelectorAll('#race-source li').length > 0);
        await page.evaluate(watchShifts);
        await steppedToTheEnd(page);
        assert.equal(await page.evaluate(shifted), 0);
        assert.deepEqual(await page.evaluate(faint), []);
        assert.deepEqual(await page.evaluate(unnamed), []);
        assert.equal(await page.evaluate(overflow), 0);
        await keepScreenshot(page, `race-${scheme}-${width}`);
      });
    }
  }
});
