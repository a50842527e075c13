/**
 * Many who watch at once: `node tools/server-load.ts [CLIENTS] [SECONDS]` (500 and 30 by default) starts the server in a
 * process of its own, lets that many listen to its events, and says whether everyone was told everything, what memory it
 * took, and what now() costs in that process meanwhile. It compares figures of one run only.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { spreadOf } from '../src/report/statistics.ts';
import type { Report } from './server-load/server.ts';

export interface Load {
  readonly clients: number;
  /** Events that each client should have been told: those from when all listened until the first left. */
  readonly events: number;
  /** Clients that were told all of them, in order and once each. */
  readonly complete: number;
  readonly rssGrowthBytes: number;
  /** Median cost of now() in the server's process: while nobody listens, before and after, and while all do. */
  readonly quietNs: number;
  readonly busyNs: number;
}

const QUIET_MS = 3000;

/** `quietMs`: how long to measure before and after. */
export async function load(clients: number, seconds: number, quietMs = QUIET_MS): Promise<Load> {
  const child = fork(path.join(import.meta.dirname, 'server-load/server.ts'), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  try {
    const quiet = await reports(child, quietMs);
    const { port } = quiet.at(-1)!;
    const streams = await Promise.all(Array.from({ length: clients }, () => openStream(port)));
    await reportWith(child, clients);
    const from = Math.max(...streams.map(({ seen }) => seen.at(-1) ?? 0));
    const busy = await reports(child, seconds * 1000);
    const heard = whoHeardAll(streams.map(({ seen }) => seen.filter((at) => at > from)));
    for (const { socket } of streams) socket.destroy();
    await reportWith(child, 0);
    const before = quiet.at(-1)!.rssBytes;
    quiet.push(...(await reports(child, quietMs)));
    return {
      clients,
      ...heard,
      rssGrowthBytes: Math.max(...busy.map((report) => report.rssBytes)) - before,
      quietNs: median(quiet),
      busyNs: median(busy),
    };
  } finally {
    child.kill('SIGKILL');
  }
}

/** Of what each client heard: how many events there were up to the last that all of them had time to hear, and who heard each. */
export function whoHeardAll(lists: readonly (readonly number[])[]): { events: number; complete: number } {
  const until = Math.min(...lists.map((list) => list.at(-1) ?? 0));
  const heard = lists.map((list) => list.filter((at) => at <= until));
  const all = [...new Set(heard.flat())].toSorted((a, b) => a - b);
  return { events: all.length, complete: heard.filter((list) => list.join() === all.join()).length };
}

/** The server's reports of the next `ms`. */
async function reports(child: ChildProcess, ms: number): Promise<Report[]> {
  const list: Report[] = [];
  const end = performance.now() + ms;
  while (list.length === 0 || performance.now() < end) list.push((await once(child, 'message'))[0] as Report);
  return list;
}

/** Waits until so many listen. */
async function reportWith(child: ChildProcess, listeners: number): Promise<void> {
  for (;;) {
    const [report] = (await once(child, 'message')) as [Report];
    if (report.listeners === listeners) return;
  }
}

interface Stream {
  readonly socket: Socket;
  /** The times of the samples heard, as they came. */
  readonly seen: number[];
}

function openStream(port: number): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n'));
    const seen: number[] = [];
    let rest = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      rest += part;
      const end = rest.lastIndexOf('\n\n');
      if (end < 0) return;
      for (const [, at] of rest.slice(0, end).matchAll(/event: sample\ndata: \{"atMs":(\d+)/g)) seen.push(Number(at));
      rest = rest.slice(end);
      resolve({ socket, seen });
    });
    socket.once('error', reject);
  });
}

function median(list: readonly Report[]): number {
  return spreadOf(list.map(({ nowNs }) => nowNs)).median;
}

if (import.meta.main) {
  const [clients = 500, seconds = 30] = process.argv.slice(2).map(Number);
  const { events, complete, rssGrowthBytes, quietNs, busyNs } = await load(clients, seconds);
  console.log(`${clients} clients for ${seconds} s, ${events} samples: ${complete} clients were told every one`);
  console.log(`the server's memory grew by ${(rssGrowthBytes / 2 ** 20).toFixed(1)} MiB`);
  console.log(
    `now() in its process: ${busyNs.toFixed(1)} ns with them, ${quietNs.toFixed(1)} ns without: ${(busyNs / quietNs).toFixed(2)} x`,
  );
}
