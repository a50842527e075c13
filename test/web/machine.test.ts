import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import { type Hello, type SeenChange, type SeenCosts, toSeen } from '../../src/guest/observed.ts';
import { observe } from '../../src/report/observer.ts';
import { pageAssets } from '../../src/server/assets.ts';
import { listen } from '../../src/server/server.ts';
import { liveHere } from '../machine/live-here.ts';
import { RECORD } from '../report/looks.ts';
import { HELLO, type Serving, serving, until } from '../server/serving.ts';
import { keepScreenshot, NARROW, newPage, type PageOptions, skip, WIDE } from './browser.ts';
import { faint, faintlyDrawn, overflow, pixelsOf, shifted, unnamed, watchShifts } from './in-page.ts';

const COSTS: SeenCosts = {
  readers: ['before', 'landed', 'lfence-rdtsc', 'syscall-clock-gettime'].map((name, index) => {
    const median = [40, 15, 13, 120][index]!;
    return { name, ns: { min: median - 1, median, max: median + 1 }, toFloor: median / 13 };
  }),
  floor: 'lfence-rdtsc',
  readTimes: { fromNs: [16, 17, 19, 21, 23, 25, 27], counts: [2, 700, 200, 30, 0, 1, 0] },
};

const NOW = Date.now();
const LOOKS = Array.from({ length: 60 }, (_, look) => NOW - (60 - look) * 500);

const MACHINE: Hello = {
  ...HELLO,
  machine: 'live',
  why: 'a page of the test',
  clocksource: 'tsc',
  records: [0, 1].map((vcpu) => toSeen(vcpu, RECORD)),
  samples: { atMs: LOOKS, rawNs: LOOKS.map((_, look) => 1000 - look * 20), monotonicNs: LOOKS.map(() => 7) },
  costs: COSTS,
  order: { reads: 200_000, warps: 0, stalls: 0, worstNs: 0 },
};

const sampleAt = (look: number, rawNs = -200 - look * 20) => ({
  atMs: NOW + look * 500,
  tsc: String(5_000_000_000 + look * 500_000_000),
  clockNs: String(5_000_000_000 + look * 500_000_000),
  rawNs,
  monotonicNs: 7,
  uncertaintyNs: 50,
});

const CHANGE: SeenChange = { atMs: NOW, vcpu: 0, kind: 'restore', fromVersion: 4, toVersion: 6, jumpNs: 2_500_000 };

/** The page over a machine that the test moves; it shows the first sample when this returns. */
async function watching(t: TestContext, options: PageOptions = {}, hello = MACHINE): Promise<[Serving, Page]> {
  const page = await newPage(t, options);
  const server = await serving(t, {}, { assets: await pageAssets(), hello });
  await page.goto(`http://127.0.0.1:${server.port}/`);
  await until(() => server.listeners === 1);
  server.tell('sample', sampleAt(0));
  await page.waitForFunction(() => document.getElementById('fact-clock')!.textContent!.trim() !== '');
  return [server, page];
}

/** Tells the sample `look`, and waits until the page shows it. */
async function tellSample(server: Serving, page: Page, look: number): Promise<void> {
  server.tell('sample', sampleAt(look));
  const seconds = `${(5 + look / 2).toFixed(3)} s`;
  await page.waitForFunction((clock) => document.getElementById('fact-clock')!.textContent!.startsWith(clock), seconds);
}

const text = (page: Page, id: string) => page.locator(`#${id}`).innerText();

describe('the view of this machine', { skip }, () => {
  test("it receives this machine's own events and draws them", async (t) => {
    if (liveHere(t) === undefined) return;
    const page = await newPage(t);
    const assets = await pageAssets();
    const failed = (why: string) => assert.fail(why);
    const server = await listen({
      host: '127.0.0.1',
      port: 0,
      assets,
      failed,
      observe: (tell) => observe('1.2.3', tell, failed),
    });
    t.after(() => server.close());
    await page.goto(`http://127.0.0.1:${server.port}/`);
    await page.waitForFunction(() => document.querySelectorAll('#records tr').length > 0);
    const first = await text(page, 'fact-clock');
    await page.waitForFunction((before) => document.getElementById('fact-clock')!.textContent !== before, first);
    await page.waitForFunction(() => document.querySelectorAll('#costs tr').length >= 10);
    await page.waitForFunction(pixelsOf, ['offset-plot', 'accent'] as const);
    await page.waitForFunction(pixelsOf, ['times-plot', 'bar'] as const);
    assert.match(await text(page, 'machine-status'), /[Ss]table, say/i);
    await keepScreenshot(page, 'machine-live');
  });

  test('it shows every record, what it comes to, and what a reading costs', async (t) => {
    const [, page] = await watching(t);
    const rows = await page.locator('#records tr').allInnerTexts();
    assert.equal(rows.length, 2);
    assert.deepEqual(rows[1]!.split(/\s*\t\s*/).slice(0, 7), [
      '1',
      'yes',
      'no',
      '4',
      '1000.000 MHz',
      '5.00 s ago',
      '0 ns',
    ]);
    assert.equal(await text(page, 'machine-status'), 'Stable, say the records of all 2 vCPUs.');
    assert.match(await text(page, 'fact-clock'), /^5\.000 s/);
    assert.equal(await text(page, 'fact-order'), '0 times in 200,000 readings');
    const costs = await page.locator('#costs tr').allInnerTexts();
    assert.deepEqual(costs[1]!.split(/\s*\t\s*/).filter(Boolean), ['landed', '15.0', '1.15 x']);
    const widths = await page
      .locator('#costs .bar')
      .evaluateAll((bars) => bars.map((bar) => getComputedStyle(bar).backgroundSize));
    assert.deepEqual(
      widths.map((width) => width.split(' ')[0]),
      ['95%', '35.625%', '30.875%', '100%'],
    );
    assert.match(
      await text(page, 'times-text'),
      /^933 readings .* half took less than 19\.0 ns, 99 % less than 23\.0 ns, 99\.9 % less than 27\.0 ns\.$/,
    );
  });

  test('it draws the offset as it comes, against the clock that is chosen, and stands still when held', async (t) => {
    const [server, page] = await watching(t);
    assert.match(await text(page, 'offset-text'), /^-1\.20 us over 30\.0 s, -0\.040 ppm, each/);
    assert.ok((await page.evaluate(pixelsOf, ['offset-plot', 'accent'] as const)) > 200);
    server.tell('sample', sampleAt(1));
    await page.waitForFunction(() => document.getElementById('offset-text')!.textContent!.startsWith('-1.22 us '));
    await page.getByLabel('Against').selectOption('CLOCK_MONOTONIC');
    assert.match(await text(page, 'offset-text'), /^0\.00 ns over .*, 0\.000 ppm/);
    await page.getByLabel('Show').selectOption('one minute');
    await page.getByRole('button', { name: 'Hold' }).press('Space');
    const held = await text(page, 'offset-text');
    server.tell('sample', { ...sampleAt(4), monotonicNs: 5000 });
    await page.waitForFunction(() => document.getElementById('fact-clock')!.textContent!.startsWith('7.000 s'));
    assert.equal(await text(page, 'offset-text'), held);
    await page.getByRole('button', { name: 'Hold', pressed: true }).press('Space');
    assert.match(await text(page, 'offset-text'), /^\+4\.99 us/);
  });

  test('it takes the rate from when the clock was set, and not across that', async (t) => {
    const [server, page] = await watching(t);
    server.tell('change', { ...CHANGE, atMs: NOW + 500 });
    for (const look of [1, 2, 3]) server.tell('sample', sampleAt(look, 2_500_000 - look * 20));
    await page.waitForFunction(() => document.getElementById('fact-clock')!.textContent!.startsWith('6.500 s'));
    assert.match(await text(page, 'offset-text'), /^\+2\.50 ms over 31\.5 s, -0\.040 ppm since it was set, each point/);
  });

  test('it shows as much of the past as is chosen, and the rate over that', async (t) => {
    const looks = Array.from({ length: 120 }, (_, look) => look);
    const past = { atMs: looks.map((look) => NOW - (120 - look) * 10_000), rawNs: looks.map((look) => look * 1000) };
    const samples = { ...past, monotonicNs: looks.map(() => 7) };
    const [server, page] = await watching(t, {}, { ...MACHINE, samples });
    server.tell('sample', { ...sampleAt(1), atMs: NOW, rawNs: 120_000 });
    await page.waitForFunction(() => document.getElementById('fact-clock')!.textContent!.startsWith('5.500 s'));
    for (const [span, words] of [
      ['one minute', '+6.00 us over 1 min 0 s, 0.100 ppm'],
      ['five minutes', '+30.0 us over 5 min 0 s, 0.100 ppm'],
      ['an hour', '+120 us over 20 min 0 s, 0.100 ppm'],
    ] as const) {
      await page.getByLabel('Show').selectOption(span);
      assert.equal(await text(page, 'offset-text'), `${words}, each point to within 50.0 ns. Now 120 us apart in all.`);
    }
  });

  test('it takes the rate anew where the VM was moved, and not where another record was set or its own is refreshed', async (t) => {
    const [server, page] = await watching(t);
    server.tell('change', { ...CHANGE, vcpu: 1 });
    server.tell('change', { ...CHANGE, kind: 'refresh', jumpNs: 0 });
    const told = async (look: number) => {
      await tellSample(server, page, look);
      return await text(page, 'offset-text');
    };
    assert.match(await told(1), / over 30\.5 s, -0\.040 ppm, each /);
    server.tell('change', { ...CHANGE, atMs: NOW + 1000, kind: 'migration' });
    assert.match(await told(2), / over 31\.0 s, each /);
    assert.match(await told(3), / over 31\.5 s, -0\.040 ppm since it was set, each /);
  });

  test('what is not as it should be stands out, and what there are fewer of now goes', async (t) => {
    const [server, page] = await watching(t);
    const bad = () => page.locator('.bad').evaluateAll((list) => list.map(({ id, textContent }) => id || textContent));
    const rows = () => page.locator('#records tr').allInnerTexts();
    const cut = () =>
      page.locator('#costs .bar').evaluateAll((bars) => bars.map((bar) => bar.hasAttribute('data-cut')));
    assert.deepEqual(await bad(), []);
    assert.deepEqual(await cut(), [false, false, false, true]);
    server.tell('order', { reads: 5_000_000_000, warps: 12, stalls: 1, worstNs: 1_250_000 });
    server.tell('records', [toSeen(0, { ...RECORD, flags: 2 })]);
    server.tell('costs', { ...COSTS, readers: COSTS.readers.slice(0, 2), floor: 'landed' });
    await tellSample(server, page, 1);
    assert.equal((await rows()).length, 1);
    assert.match((await rows())[0]!, /^0\s+NO\s+yes, unseen\s/);
    assert.equal(await text(page, 'machine-status'), 'NOT STABLE, says the record of vCPU 0.');
    assert.equal(await text(page, 'fact-order'), '12 times in 5,000,000,000 readings, 1.25 ms at worst');
    assert.deepEqual(await bad(), ['machine-status', 'NO', 'fact-order']);
    assert.deepEqual(await cut(), [false, false]);
    server.tell('order', { reads: 1000, warps: 0, stalls: 0, worstNs: 0 });
    server.tell(
      'records',
      [0, 1, 2].map((vcpu) => toSeen(vcpu, RECORD)),
    );
    await tellSample(server, page, 2);
    assert.equal((await rows()).length, 3);
    assert.deepEqual(await bad(), []);
  });

  test('it lists the latest 200 changes, those from before it was opened too', async (t) => {
    const changes = Array.from(
      { length: 201 },
      (_, i): SeenChange => ({ ...CHANGE, fromVersion: i, toVersion: i + 2 }),
    );
    const [server, page] = await watching(t, {}, { ...MACHINE, changes });
    const listed = async () => {
      const items = await page.locator('#changes li').allInnerTexts();
      const from = (item: string | undefined) => Number(/version (\d+) to/.exec(item ?? '')?.[1]);
      return [items.length, from(items[0]), from(items.at(-1))];
    };
    assert.deepEqual(await listed(), [200, 200, 1]);
    assert.equal(await page.locator('#changes-none').isVisible(), false);
    server.tell('change', { ...CHANGE, fromVersion: 300 });
    await page.waitForFunction(() => document.querySelector('#changes li')!.textContent!.includes('version 300'));
    assert.deepEqual(await listed(), [200, 300, 2]);
  });

  test('it marks a change of the record on the time line, lists it, and shows the new record', async (t) => {
    const [server, page] = await watching(t);
    assert.equal(await page.evaluate(pixelsOf, ['offset-plot', 'mark'] as const), 0);
    server.tell('records', [toSeen(0, { ...RECORD, version: 6 }), toSeen(1, { ...RECORD, version: 8, flags: 0 })]);
    server.tell('change', CHANGE);
    server.tell('change', { ...CHANGE, vcpu: 1, kind: 'unstable', jumpNs: null });
    server.tell('change', { ...CHANGE, kind: 'refresh', jumpNs: 0 });
    server.tell('sample', sampleAt(1));
    await page.waitForFunction(pixelsOf, ['offset-plot', 'mark'] as const);
    const items = await page.locator('#changes li').allInnerTexts();
    assert.match(items[0]!, /refresh of vCPU 0's record: version 4 to 6, the clock did not jump$/);
    assert.match(items[1]!, /unstable of vCPU 1's record: version 4 to 6, its jump cannot be told$/);
    assert.match(items[2]!, /restore of vCPU 0's record: version 4 to 6, the clock moved by 2\.50 ms$/);
    assert.equal(await text(page, 'machine-status'), 'NOT STABLE, says the record of vCPU 1.');
    assert.match((await page.locator('#records tr').allInnerTexts())[1]!, /^1\s+NO/);
    await keepScreenshot(page, 'machine-changes');
  });

  test('it says that the connection is lost, and begins anew when the server is back', async (t) => {
    const [server, page] = await watching(t, { expected: /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING/ });
    await server.close();
    await page.waitForFunction(() => document.getElementById('machine-status')!.textContent!.includes('is lost'));
    const again = await serving(t, {}, { assets: await pageAssets(), hello: MACHINE, port: server.port });
    await until(() => again.listeners === 1);
    again.tell('sample', sampleAt(9));
    await page.waitForFunction(() => document.getElementById('machine-status')!.textContent!.startsWith('Stable'));
    assert.equal(await page.locator('#records tr').count(), 2);
  });

  test('it says why there is no record to be shown', async (t) => {
    const hello = { ...HELLO, why: 'this Node has no node:ffi' };
    const page = await newPage(t);
    const server = await serving(t, {}, { assets: await pageAssets(), hello });
    await page.goto(`http://127.0.0.1:${server.port}/`);
    await page.waitForFunction(() => document.getElementById('machine-status')!.textContent!.startsWith('There is no'));
    assert.equal(await text(page, 'machine-status'), 'There is no record to be read here: this Node has no node:ffi.');
    assert.equal(await page.locator('#machine-live').isVisible(), false);
  });

  test('nothing on the page moves when it is brought up to date', async (t) => {
    const [server, page] = await watching(t);
    await page.evaluate(watchShifts);
    for (let look = 1; look <= 10; look++) server.tell('sample', sampleAt(look, -(10 ** look)));
    server.tell('costs', { ...COSTS, readTimes: { fromNs: [8, 16, 1_000_000], counts: [1, 5_000_000, 3] } });
    server.tell('order', { reads: 5_000_000_000, warps: 12, stalls: 1, worstNs: 1_250_000 });
    server.tell('records', [toSeen(0, { ...RECORD, version: 60_000 }), toSeen(1, RECORD)]);
    for (let i = 0; i < 30; i++) server.tell('change', { ...CHANGE, atMs: NOW + i });
    server.tell('sample', sampleAt(20));
    await page.waitForFunction(() => document.getElementById('fact-clock')!.textContent!.startsWith('15.000 s'));
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    assert.equal(await page.evaluate(shifted), 0);
    await page.evaluate(() => document.querySelector('main')!.prepend('something that was not there before'));
    await page.waitForFunction(() => (globalThis as unknown as { shifted: number }).shifted > 0);
  });

  for (const scheme of ['light', 'dark'] as const) {
    for (const width of [NARROW, WIDE]) {
      test(`it is readable, named and no wider than its window: ${scheme}, ${width} px`, async (t) => {
        const [server, page] = await watching(t, { width, scheme });
        server.tell('change', CHANGE);
        server.tell('order', { reads: 5_000_000_000, warps: 12, stalls: 1, worstNs: 1_250_000 });
        server.tell('sample', sampleAt(1));
        await page.waitForFunction(pixelsOf, ['offset-plot', 'mark'] as const);
        assert.deepEqual(await page.evaluate(faintlyDrawn), []);
        assert.deepEqual(await page.evaluate(faint), []);
        assert.deepEqual(await page.evaluate(unnamed), []);
        assert.equal(await page.evaluate(overflow), 0);
        await keepScreenshot(page, `machine-${scheme}-${width}`);
      });
    }
  }

  test('what is faint, nameless or too wide is found', async (t) => {
    const [, page] = await watching(t, { width: NARROW });
    await page.evaluate(() => {
      const main = document.querySelector('main')!;
      main.append(document.createElement('button'));
      const faint = document.createElement('p');
      faint.append('hardly to be seen');
      faint.style.color = '#bbb';
      faint.style.width = '500px';
      main.append(faint);
    });
    assert.match((await page.evaluate(faint)).join(), /^1\.\d\d: hardly to be seen$/);
    await page.evaluate(() => document.documentElement.style.setProperty('--bar', '#eeeeee'));
    assert.match((await page.evaluate(faintlyDrawn)).join(), /^bar on card: 1\.\d\d$/);
    assert.deepEqual(await page.evaluate(unnamed), ['<button></button>']);
    assert.ok((await page.evaluate(overflow)) > 0);
  });

  test('it is worked by keyboard alone: everything that can be used is reached in order', async (t) => {
    const [, page] = await watching(t);
    const reached: string[] = [];
    for (let step = 0; step < 9; step++) {
      await page.keyboard.press('Tab');
      reached.push(
        await page.evaluate(
          () => document.activeElement!.id || document.activeElement!.textContent!.trim().slice(0, 14),
        ),
      );
    }
    assert.deepEqual(reached.slice(0, 4), ['To the content', 'This machine', 'The race', 'The matrix']);
    assert.deepEqual(
      reached.filter((id) => id.startsWith('offset-')),
      ['offset-against', 'offset-span', 'offset-hold'],
    );
  });
});
