/** The server on a free port, over a clock that the test moves by hand. */
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { Hello, Sample } from '../../src/guest/observed.ts';
import type { Measured } from '../../src/report/metrics.ts';
import type { Tell } from '../../src/report/observer.ts';
import type { Assets } from '../../src/server/assets.ts';
import { type Limits, type Listening, listen } from '../../src/server/server.ts';
import { NOTHING_FOUND } from '../report/measured.ts';

export const HELLO: Hello = {
  machine: 'simulated',
  why: 'a test',
  version: '1.2.3',
  node: process.version,
  clocksource: null,
  records: [],
  samples: { atMs: [], rawNs: [], monotonicNs: [] },
  changes: [],
  costs: null,
  order: null,
};

export const ASSETS: Assets = new Map([
  ['/', { type: 'text/html; charset=utf-8', bytes: () => Buffer.from('<!doctype html>') }],
  [
    '/broken.js',
    {
      type: 'text/javascript',
      bytes: () => {
        throw new Error('no such file');
      },
    },
  ],
]);

export interface Serving extends Listening {
  readonly tell: Tell;
  readonly failures: string[];
  /** How often the watch of the clock was ended. */
  stops(): number;
}

/** What is served, where it is not the least. */
export interface Content {
  readonly assets?: Assets;
  readonly hello?: Hello | (() => Hello);
  readonly measured?: Measured;
  readonly port?: number;
}

/** Ends with the test. */
export async function serving(t: TestContext, limits: Partial<Limits> = {}, more: Content = {}): Promise<Serving> {
  const { assets = ASSETS, hello = HELLO, measured = NOTHING_FOUND, port = 0 } = more;
  let tell: Tell = () => {};
  const failures: string[] = [];
  let stops = 0;
  const server = await listen({
    host: '127.0.0.1',
    port,
    assets,
    limits,
    failed: (why) => failures.push(why),
    observe: (given) => {
      tell = given;
      const stop = () => {
        stops++;
      };
      return { hello: typeof hello === 'function' ? hello : () => hello, measured: () => measured, stop };
    },
  });
  t.after(() => server.close());
  return Object.assign(server, { tell, failures, stops: () => stops });
}

export function sample(number: number): Sample {
  return { atMs: number, tsc: '1', clockNs: '1', rawNs: 0, monotonicNs: 0, uncertaintyNs: 0 };
}

/** Sends `text` as it is and gives all that comes back until the server closes, or until `enough` says so. */
export function exchange(
  port: number,
  text: string,
  enough: (answer: string) => boolean = () => false,
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      answer += part;
      if (enough(answer)) socket.destroy();
    });
    socket.on('error', () => {}); // a connection that the server resets is closed, too
    socket.on('close', () => resolve(answer));
  });
}

/** One request with these header lines, on a connection of its own. */
export function ask(port: number, line: string, ...headers: readonly string[]): Promise<string> {
  return exchange(port, [`${line} HTTP/1.1`, ...headers, 'Connection: close', '', ''].join('\r\n'));
}

export const HOST = 'Host: 127.0.0.1';

/** A listener to the events, or another who asks for something and holds his connection, as a bare connection. */
export function listener(port: number, at = '/events'): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`GET ${at} HTTP/1.1\r\n${HOST}\r\n\r\n`);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

/** Waits until `holds` does; the test's own time limit ends it otherwise. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}
