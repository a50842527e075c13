import { isIP } from 'node:net';
import { observe } from '../report/observer.ts';
import { pageAssets } from '../server/assets.ts';
import { isLoopback } from '../server/gate.ts';
import { type Listening, listen } from '../server/server.ts';
import { defineCommand, EXIT_OK, UsageError } from './command.ts';
import { parseCount } from './values.ts';
import { version } from './version.ts';

const DEFAULT_HOST = '127.0.0.1';
const DEFAULT_PORT = 9788;

export const command = defineCommand({
  usage: 'serve [--port N] [--host ADDR [--expose]]',
  details: `Answers on ${DEFAULT_HOST} until it is interrupted: a page that shows this machine's clock live and lets the
checker run in the browser, and /metrics for Prometheus. Looks at the records twice a second, times
the readers every 5 s, and once a minute reads on all vCPUs at once, which takes each of them for some
milliseconds.

Another address than this machine's own wants --expose: whoever reaches it sees this clock, as there is
neither password nor encryption. A fleet is better watched with node_exporter: see doctor --textfile.`,
  options: {
    port: { type: 'string', value: 'N', help: `the port (${DEFAULT_PORT} by default; 0: any that is free)` },
    host: { type: 'string', value: 'ADDR', help: `the IP address to listen on (${DEFAULT_HOST} by default)` },
    expose: { type: 'boolean', help: 'let others than this machine connect, if --host does' },
  },
  maxPositionals: 0,
  async run({ values, json }, { stdout, stderr }) {
    const host = hostOf(values.host, values.expose ?? false);
    const port = portOf(values.port);
    const failed = (why: string) => stderr.write(`kvmclock serve: ${why}\n`);
    const assets = await pageAssets();
    const server = await start(host, port, () =>
      listen({ host, port, assets, failed, observe: (tell) => observe(version(), tell, failed) }),
    );
    const url = `http://${isIP(server.address) === 6 ? `[${server.address}]` : server.address}:${server.port}/`;
    const ended = new Promise<void>((resolve) => process.once('SIGTERM', () => resolve())); // before anybody is told
    stdout.write(json ? `${JSON.stringify({ url, address: server.address, port: server.port })}\n` : told(url));
    await ended;
    await server.close();
    return EXIT_OK;
  },
});

function told(url: string): string {
  return `${url} shows this machine's clock, ${url}metrics is for Prometheus; Ctrl-C ends it\n`;
}

function hostOf(given: string | undefined, expose: boolean): string {
  const host = given === undefined || given === 'localhost' ? DEFAULT_HOST : given;
  if (isIP(host) === 0) throw new UsageError(`--host takes an IP address, not ${JSON.stringify(given)}`);
  if (!isLoopback(host) && !expose) {
    throw new UsageError(
      `--host ${host} lets others than this machine connect, and there is neither password nor encryption: add --expose if that is wanted`,
    );
  }
  return host;
}

function portOf(given: string | undefined): number {
  const port = given === undefined ? DEFAULT_PORT : parseCount('--port', given);
  if (port > 65535) throw new UsageError(`--port takes a number of 0..65535, not ${JSON.stringify(given)}`);
  return port;
}

async function start(host: string, port: number, begin: () => Promise<Listening>): Promise<Listening> {
  try {
    return await begin();
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (syscall !== 'listen') throw error;
    throw new UsageError(`cannot listen on ${host}, port ${port}: ${WHY_NOT[code ?? ''] ?? code}`);
  }
}

const WHY_NOT: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program has it; give another --port, or 0 for any that is free',
  EADDRNOTAVAIL: 'this machine has no such address; give one of its own',
  EACCES: 'you may not use that port; give another --port, 1024 or above',
};
