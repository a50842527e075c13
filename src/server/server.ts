/**
 * The HTTP server: the page, the events it lives on, and the metrics. It takes requests from this machine (see gate.ts),
 * looks paths up and computes none, and keeps nothing of a client but what waits to be sent.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { EventName, Told } from '../guest/observed.ts';
import { METRICS_TYPE, metricsText } from '../report/metrics.ts';
import type { Observer, Tell } from '../report/observer.ts';
import type { Assets } from './assets.ts';
import { EventStream, eventBytes } from './event-stream.ts';
import { refusalOf } from './gate.ts';

export interface Listening {
  readonly address: string;
  readonly port: number;
  /** How many listen to the events. */
  readonly listeners: number;
  close(): Promise<void>;
}

export interface ServerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly assets: Assets;
  readonly limits?: Partial<Limits>;
  /** Begins to watch the clock. */
  observe(tell: Tell): Observer;
  /** Is told what went wrong, in one line; the server goes on. */
  failed(why: string): void;
}

/** Headers of every answer: nothing is fetched from elsewhere, run from a string, framed, sniffed or kept. */
const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

export interface Limits {
  /** A client that has sent no whole request by then is cut off ... */
  readonly requestMs: number;
  /** ... and one that takes nothing of an answer for so long. */
  readonly idleMs: number;
  readonly connections: number;
  /** Of the connections, those that listen to the events. */
  readonly listeners: number;
}

const LIMITS: Limits = { requestMs: 10_000, idleMs: 60_000, connections: 2000, listeners: 1000 };
const HEADER_BYTES = 16 * 1024;

/** Rejects with what the system says where it cannot listen. */
export async function listen({ host, port, assets, limits, observe, failed }: ServerOptions): Promise<Listening> {
  const { requestMs, idleMs, connections, listeners } = { ...LIMITS, ...limits };
  const stream = new EventStream(listeners);
  let greeting: Buffer | undefined; // the same for all who come between two events
  const timeouts = {
    maxHeaderSize: HEADER_BYTES,
    requestTimeout: requestMs,
    connectionsCheckingInterval: requestMs / 5,
  };
  const server = createServer(timeouts, (request, response) => void respond(request, response));
  server.maxConnections = connections;
  server.timeout = idleMs;
  await begin(server, host, port);
  server.on('error', () => {}); // a connection that cannot be taken harms none of the others
  const observer = observe(tell);

  function tell<N extends EventName>(name: N, told: Told[N]): void {
    greeting = undefined;
    stream.tell(name, told);
  }

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    try {
      const answer = refused(request, response) ?? (await found(request, response));
      if (answer !== 'events') send(response, answer);
    } catch (error) {
      failed(`${request.url} cannot be answered: ${error instanceof Error ? error.message : String(error)}`);
      send(response, line(500, 'kvmclock is at fault here'));
    }
  }

  async function found(request: IncomingMessage, response: ServerResponse): Promise<Answer | 'events'> {
    const path = request.url!.split('?', 1)[0]!;
    if (path === '/metrics') return { status: 200, type: METRICS_TYPE, body: await metricsText(observer.measured()) };
    if (path === '/events' && request.method === 'GET') {
      greeting ??= eventBytes('hello', observer.hello());
      return stream.add(response, greeting) ? 'events' : line(503, 'too many listen already');
    }
    const asset = assets.get(path);
    if (asset === undefined) return line(404, 'there is no such page here');
    return { status: 200, type: asset.type, body: asset.bytes() };
  }

  const { address, port: taken } = server.address() as AddressInfo;
  return {
    address,
    port: taken,
    get listeners() {
      return stream.listeners;
    },
    close() {
      observer.stop();
      stream.close();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function begin(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

interface Answer {
  readonly status: number;
  /** Media type. */
  readonly type: string;
  readonly body: Buffer | string;
}

function line(status: number, text: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body: `${text}\n` };
}

function refused(request: IncomingMessage, response: ServerResponse): Answer | undefined {
  const refusal = refusalOf(request);
  if (refusal === undefined) return undefined;
  if (refusal.status === 405) response.setHeader('Allow', 'GET, HEAD');
  response.setHeader('Connection', 'close'); // what it goes on to send is not wanted
  return line(refusal.status, refusal.why);
}

/** Node leaves the body out where the request was HEAD. */
function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}
