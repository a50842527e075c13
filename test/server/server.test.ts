import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { ASSETS, ask, exchange, HELLO, HOST, listener, sample, serving, until } from './serving.ts';

describe('the server', () => {
  for (const path of [
    '/nothing',
    '/index.html/',
    '/../package.json',
    '/../../../../etc/passwd',
    '/src/../../package.json',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/..%2f..%2fetc%2fpasswd',
    '/..\\..\\package.json',
    '//etc/passwd',
    '/web//main.ts',
    '/./',
    '/%00',
    'http://evil.example/',
    '*',
    '/__proto__',
    '/constructor',
  ]) {
    test(`the server has nothing at ${path}`, async (t) => {
      const { port } = await serving(t);
      const answer = await ask(port, `GET ${path}`, HOST);
      assert.match(answer, /^HTTP\/1.1 404 /);
      assert.match(answer, /\r\n\r\nthere is no such page here\n$/);
    });
  }

  test('the server gives a file with its type and headers that keep everything else out', async (t) => {
    const { port } = await serving(t);
    const answer = await ask(port, 'GET /?x=1', HOST);
    assert.match(answer, /^HTTP\/1.1 200 /);
    for (const header of [
      "Content-Security-Policy: default-src 'none'; script-src 'self'; ",
      'X-Content-Type-Options: nosniff',
      'Cross-Origin-Resource-Policy: same-origin',
      'Content-Type: text/html; charset=utf-8',
      'Content-Length: 15',
    ]) {
      assert.ok(answer.includes(`\r\n${header}`), header);
    }
    assert.ok(!/unsafe|\*|https?:/.test(/Content-Security-Policy: (.*)\r\n/.exec(answer)![1]!));
    assert.match(answer, /\r\n\r\n<!doctype html>$/);
  });

  test('the server answers HEAD with the headers alone', async (t) => {
    const { port } = await serving(t);
    assert.match(await ask(port, 'HEAD /', HOST), /Content-Length: 15\r\n.*\r\n\r\n$/s);
    assert.match(await ask(port, 'HEAD /events', HOST), /^HTTP\/1.1 404 /);
  });

  test('the server gives the metrics in their own media type', async (t) => {
    const { port } = await serving(t);
    const answer = await ask(port, 'GET /metrics', HOST);
    assert.match(answer, /Content-Type: text\/plain; version=0.0.4; charset=utf-8\r\n/);
    assert.match(answer, /\nkvmclock_record_found 0\n/);
  });

  test('the server says in one line what it cannot answer, tells nobody why, and goes on', async (t) => {
    const { port, failures } = await serving(t);
    const answer = await ask(port, 'GET /broken.js', HOST);
    assert.match(answer, /^HTTP\/1.1 500 /);
    assert.ok(!answer.includes('no such file'));
    assert.deepEqual(failures, ['/broken.js cannot be answered: no such file']);
    assert.match(await ask(port, 'GET /', HOST), /^HTTP\/1.1 200 /);
  });

  test('the server closes the connection of a request that it refuses, and says which methods it takes', async (t) => {
    const { port } = await serving(t);
    const post = await exchange(port, `POST / HTTP/1.1\r\n${HOST}\r\nContent-Length: 5\r\n\r\n`);
    assert.match(post, /^HTTP\/1.1 405 /);
    for (const header of ['Allow: GET, HEAD', 'Connection: close']) assert.ok(post.includes(`\r\n${header}\r\n`), post);
    const elsewhere = await exchange(port, 'GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n');
    assert.match(elsewhere, /^HTTP\/1.1 403 /);
    assert.ok(elsewhere.includes('\r\nConnection: close\r\n') && !elsewhere.includes('Allow:'), elsewhere);
  });

  test('the server refuses huge headers, many headers and what is no request, and goes on', async (t) => {
    const { port } = await serving(t);
    const huge = `X: ${'x'.repeat(100_000)}`;
    const many = Array.from({ length: 5000 }, (_, i) => `X-${i}: x`);
    assert.match(await ask(port, 'GET /', HOST, huge), /^HTTP\/1.1 431 /);
    assert.match(await ask(port, `GET /${'x'.repeat(100_000)}`, HOST), /^HTTP\/1.1 431 /);
    assert.match(await ask(port, 'GET /', HOST, ...many), /^HTTP\/1.1 431 /);
    assert.match(await exchange(port, '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'), /^HTTP\/1.1 400 /);
    assert.match(await ask(port, 'GET /', HOST), /^HTTP\/1.1 200 /);
  });

  test('the server cuts off clients that never finish their request, and answers others meanwhile', async (t) => {
    const { port } = await serving(t, { requestMs: 200 });
    const slow = [
      exchange(port, ''),
      exchange(port, 'GET / HT'),
      exchange(port, `GET / HTTP/1.1\r\n${HOST}\r\nX-Slow: `),
    ];
    assert.match(await ask(port, 'GET /', HOST), /^HTTP\/1.1 200 /);
    for (const answer of await Promise.all(slow)) assert.match(answer, /^(HTTP\/1.1 408 |$)/);
  });

  test('the server cuts off a client that asks for much and takes none of it', async (t) => {
    const large = { type: 'text/plain', bytes: () => Buffer.alloc(64 * 2 ** 20) };
    const assets = new Map([...ASSETS, ['/large', large]]);
    const { port } = await serving(t, { idleMs: 100, connections: 1 }, { assets });
    const deaf = await listener(port, '/large');
    deaf.pause();
    let answer = '';
    while (answer === '') answer = await ask(port, 'GET /', HOST); // until the only connection is free
    assert.match(answer, /^HTTP\/1.1 200 /);
    let taken = 0;
    deaf.on('data', (bytes) => {
      taken += bytes.length;
    });
    await once(deaf.on('error', () => {}).resume(), 'close');
    assert.ok(taken < 64 * 2 ** 20, `${taken} bytes`);
  });

  test('the server keeps up with a client that sends thousands of requests and takes no answer', async (t) => {
    const { port } = await serving(t);
    const eager = await listener(port, '/metrics');
    eager.pause();
    for (let i = 0; i < 20_000; i++) eager.write(`GET /metrics HTTP/1.1\r\n${HOST}\r\n\r\n`);
    for (let i = 0; i < 20; i++) assert.match(await ask(port, 'GET /', HOST), /^HTTP\/1.1 200 /);
    eager.destroy();
  });

  test('the server takes no more connections than it is told, and takes new ones when those are gone', async (t) => {
    const { port } = await serving(t, { connections: 3 });
    const idle = await Promise.all([listener(port), listener(port), listener(port)]);
    assert.equal(await ask(port, 'GET /', HOST), '');
    for (const socket of idle) socket.destroy();
    let answer = '';
    while (answer === '') answer = await ask(port, 'GET /', HOST);
    assert.match(answer, /^HTTP\/1.1 200 /);
  });
});

describe('the events', () => {
  const samplesIn = (text: string): number[] =>
    [...text.matchAll(/event: sample\ndata: (.*)\n\n/g)].map(([, json]) => JSON.parse(json!).atMs);

  test('the server greets a listener and tells him every event from then on, in order', async (t) => {
    const server = await serving(t);
    const request = `GET /events HTTP/1.1\r\n${HOST}\r\n\r\n`;
    const answer = exchange(server.port, request, (text) => samplesIn(text).length === 20);
    await until(() => server.listeners === 1);
    for (let i = 0; i < 20; i++) server.tell('sample', sample(i));
    const text = await answer;
    assert.match(text, /Content-Type: text\/event-stream/);
    assert.match(text, /event: hello\ndata: \{"machine":"simulated","why":"a test"/);
    assert.deepEqual(
      samplesIn(text),
      Array.from({ length: 20 }, (_, i) => i),
    );
  });

  test('the server greets whoever comes after an event with what there is then, and others with the same bytes', async (t) => {
    let greetings = 0;
    const hello = () => ({ ...HELLO, why: `greeting ${++greetings}` });
    const server = await serving(t, {}, { hello });
    const request = `GET /events HTTP/1.1\r\n${HOST}\r\n\r\n`;
    const greeted = () => exchange(server.port, request, (text) => text.includes('event: hello'));
    for (const expected of [1, 1, 2]) {
      if (expected === 2) server.tell('sample', sample(0));
      assert.ok((await greeted()).includes(`"why":"greeting ${expected}"`));
    }
  });

  test('the server forgets a listener that vanishes, however it does', async (t) => {
    const server = await serving(t);
    const sockets = await Promise.all(Array.from({ length: 30 }, () => listener(server.port)));
    await until(() => server.listeners === 30);
    sockets.forEach((socket, i) => {
      if (i % 3 === 0) socket.end();
      else if (i % 3 === 1) socket.destroy();
      else socket.resetAndDestroy();
      server.tell('sample', sample(i));
    });
    await until(() => server.listeners === 0);
    assert.match(await ask(server.port, 'GET /', HOST), /^HTTP\/1.1 200 /);
  });

  test('the server drops a listener that does not read, and keeps those that do', async (t) => {
    const server = await serving(t);
    const deaf = await listener(server.port);
    deaf.pause();
    let heard = 0;
    const awake = await listener(server.port);
    awake.on('data', (bytes) => {
      heard += bytes.length;
    });
    await until(() => server.listeners === 2);
    const sent = { ...sample(0), tsc: '1'.repeat(50_000) };
    let bytes = 0;
    while (server.listeners === 2) {
      server.tell('sample', sent);
      bytes += sent.tsc.length;
      await until(() => heard >= bytes);
    }
    assert.equal(server.listeners, 1);
    server.tell('sample', sent);
    await until(() => heard >= bytes + sent.tsc.length);
    deaf.destroy();
    awake.destroy();
  });

  test('the server takes no more listeners than it is told', async (t) => {
    const server = await serving(t, { listeners: 2 });
    const sockets = await Promise.all([listener(server.port), listener(server.port)]);
    await until(() => server.listeners === 2);
    assert.match(await ask(server.port, 'GET /events', HOST), /^HTTP\/1.1 503 /);
    for (const socket of sockets) socket.destroy();
  });

  test('close() ends every connection, and the watch of the clock', async (t) => {
    const server = await serving(t);
    const answer = exchange(server.port, `GET /events HTTP/1.1\r\n${HOST}\r\n\r\n`);
    await until(() => server.listeners === 1);
    assert.equal(server.stops(), 0);
    await server.close();
    assert.match(await answer, /event: hello/);
    assert.equal(server.stops(), 1);
  });
});
