/**
 * The checker in the page beside the checker in the command: `node tools/page-speed.ts [ROUNDS]` lets both explore the same
 * configuration in turn, both warmed up, and prints states a second and their ratio, of the medians of one run. It needs Debian's
 * chromium.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chromium } from 'playwright-core';
import { type Configuration, DEFAULT_CONFIGURATION } from '../src/checker/scenarios.ts';
import { runCheck } from '../src/report/check-run.ts';
import { spreadOf } from '../src/report/statistics.ts';
import { pageAssets } from '../src/server/assets.ts';

const rounds = Number(process.argv[2] ?? 5);
/** Some hundred thousand states: what is done once weighs little. */
const configuration: Configuration = { ...DEFAULT_CONFIGURATION, memory: 'tso', calls: 2, kernel: 'fallback' };
const CHOICES = { reader: 'landed', host: 'kvm', writer: 'today', update: 'unstable', memory: 'tso', calls: '2' };
const bounds = { states: 5_000_000, bytes: 512 * 2 ** 20 };

const assets = await pageAssets();
const server = createServer(({ url }, response) => {
  const asset = assets.get(url!);
  response.writeHead(asset === undefined ? 404 : 200, { 'Content-Type': asset?.type ?? 'text/plain' });
  response.end(asset?.bytes());
}).listen(0, '127.0.0.1');
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/#race`);

interface Explored {
  readonly states: number;
  readonly seconds: number;
}

async function inPage(): Promise<Explored> {
  for (const [name, value] of Object.entries(CHOICES)) await page.locator(`#race-${name}`).selectOption(value);
  await page.getByRole('button', { name: 'Check' }).click();
  const said = page.getByText(/ states in .* every state explored/);
  await said.waitFor();
  const [, states, seconds] = /^([\d,]+) states in ([\d.]+) s/.exec(await said.innerText())!;
  return { states: Number(states!.replaceAll(',', '')), seconds: Number(seconds) };
}

const rates = { page: [] as number[], command: [] as number[] };
for (let round = 0; round <= rounds; round++) {
  const [there, here] = [await inPage(), runCheck({ configuration, bounds })];
  if (there.states !== here.states)
    throw new Error(`the page found ${there.states} states, the command ${here.states}`);
  if (round === 0) continue; // both load and warm up
  rates.page.push(there.states / there.seconds);
  rates.command.push(here.states / here.seconds);
}
await browser.close();
server.close();

const [there, here] = [spreadOf(rates.page).median, spreadOf(rates.command).median];
const rate = (value: number) => `${Math.round(value).toLocaleString('en')} states/s`;
console.log(`page ${rate(there)}, command ${rate(here)}: ${(there / here).toFixed(2)} x, medians of ${rounds} rounds`);
