/** The server on this machine's own clock, in a process that also times now() and says what memory it takes. */
import { openClock } from '../../src/machine/clock.ts';
import { observe } from '../../src/report/observer.ts';
import { listen } from '../../src/server/server.ts';

/** What the process says of itself, again and again. */
export interface Report {
  readonly port: number;
  readonly listeners: number;
  readonly rssBytes: number;
  /** Of one call of now(), over a short loop. */
  readonly nowNs: number;
}

const CALLS = 20_000;
const REPORT_EVERY_MS = 100;

const failed = (why: string) => process.stderr.write(`${why}\n`);
const server = await listen({
  host: '127.0.0.1',
  port: 0,
  assets: new Map(),
  failed,
  observe: (tell) => observe('load', tell, failed),
});
const { now } = openClock();

function timed(): number {
  const start = process.hrtime.bigint();
  for (let i = 0; i < CALLS; i++) now();
  return Number(process.hrtime.bigint() - start) / CALLS;
}

setInterval(() => {
  const { port, listeners } = server;
  process.send!({ port, listeners, rssBytes: process.memoryUsage.rss(), nowNs: timed() } satisfies Report);
}, REPORT_EVERY_MS);
process.once('disconnect', () => process.exit());
