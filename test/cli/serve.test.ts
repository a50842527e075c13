import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import type { Hello } from '../../src/guest/observed.ts';
import { liveHere } from '../machine/live-here.ts';
import { exchange, HOST } from '../server/serving.ts';
import { captured, MAIN } from './captured.ts';

/** `kvmclock serve` with its first line, and a way to end it that gives its exit status, or the signal where that ended it. */
async function served(...args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, 'serve', '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const closed = once(child, 'close');
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    const [status, endedBy] = await closed;
    return (status ?? endedBy) as number | NodeJS.Signals;
  };
  return { line, end };
}

describe('kvmclock serve', () => {
  test('serve says where it listens, answers there, and ends with 0 on SIGTERM', async () => {
    const { line, end } = await served();
    const url = /^(http:\/\/127\.0\.0\.1:\d+\/) shows this machine's clock, \1metrics is for Prometheus/.exec(
      line,
    )![1]!;
    const page = await fetch(url);
    assert.deepEqual([page.status, page.headers.get('content-type')], [200, 'text/html; charset=utf-8']);
    assert.match(await (await fetch(`${url}metrics`)).text(), /^kvmclock_record_found [01]$/m);
    assert.equal(await end('SIGTERM'), 0);
  });

  test('serve --json prints one object, and tells listeners of this machine, live', async (t) => {
    if (liveHere(t) === undefined) return;
    const { line, end } = await served('--json');
    const { url, address, port } = JSON.parse(line);
    assert.deepEqual([url, address], [`http://127.0.0.1:${port}/`, '127.0.0.1']);
    const request = `GET /events HTTP/1.1\r\n${HOST}\r\n\r\n`;
    const text = await exchange(port, request, (answer) => answer.split('event: sample').length > 2);
    const hello = JSON.parse(/event: hello\ndata: (.*)\n/.exec(text)![1]!) as Hello;
    assert.equal(hello.machine, 'live');
    assert.ok(hello.records.length >= 1 && hello.samples.atMs.length >= 1);
    assert.equal(hello.costs?.readers.find(({ name }) => name === hello.costs!.floor)?.toFloor, 1);
    assert.ok(hello.costs!.readTimes.counts.length > 0);
    assert.equal(await end('SIGINT'), 'SIGINT');
  });

  test('serve refuses an address that others can reach, says why and how, and takes it when told', async () => {
    const { status, stderr } = await captured(['serve', '--host', '0.0.0.0', '--port', '0']);
    assert.equal(status, 2);
    assert.match(
      stderr,
      /^kvmclock serve: --host 0\.0\.0\.0 lets others than this machine connect, .*add --expose.*\n$/,
    );
    const { line, end } = await served('--host', '127.0.0.2', '--expose');
    assert.match(line, /^http:\/\/127\.0\.0\.2:/);
    assert.equal(await end('SIGTERM'), 0);
  });

  test('serve refuses bad input in one line', async () => {
    for (const [args, message] of [
      [['--host', 'example.org'], /--host takes an IP address, not "example.org"/],
      [['--port', 'http'], /--port takes a whole number/],
      [['--port', '65536'], /--port takes a number of 0\.\.65535/],
      [['now'], /unexpected argument "now"/],
    ] as const) {
      const { status, stdout, stderr } = await captured(['serve', ...args]);
      assert.deepEqual([status, stdout], [2, '']);
      assert.match(stderr, message);
      assert.equal(stderr.trimEnd().split('\n').length, 1);
    }
  });

  test('serve says in one line that the port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const { status, stderr } = await captured(['serve', '--port', String(port)]);
    assert.equal(status, 2);
    assert.match(
      stderr,
      new RegExp(`^kvmclock serve: cannot listen on 127.0.0.1, port ${port}: another program has it`),
    );
    other.close();
  });
});
