import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { describe, test } from 'node:test';
import { isLoopback, namesThisMachine } from '../../src/server/gate.ts';
import { ask, HOST, serving } from './serving.ts';

describe('namesThisMachine()', () => {
  for (const [host, address, named] of [
    ['127.0.0.1:9788', '127.0.0.1', true],
    ['127.0.0.1', '127.0.0.1', true],
    ['localhost:80', '127.0.0.1', true],
    ['LocalHost', '::1', true],
    ['[::1]:9788', '::1', true],
    ['127.0.0.1', '::ffff:127.0.0.1', true],
    ['10.1.2.3:9788', '10.1.2.3', true],
    [`${hostname()}:9788`, '10.1.2.3', true],
    ['evil.example', '127.0.0.1', false],
    ['127.0.0.1.evil.example', '127.0.0.1', false],
    ['localhost.evil.example', '127.0.0.1', false],
    ['localhost', '10.1.2.3', false],
    ['10.1.2.4', '10.1.2.3', false],
    ['0.0.0.0', '127.0.0.1', false],
    ['127.0.0.1@evil.example', '127.0.0.1', false],
    ['127.0.0.1:9788:1', '127.0.0.1', false],
    ['', '127.0.0.1', false],
    [undefined, '127.0.0.1', false],
    ['127.0.0.1', undefined, false],
  ] as const) {
    test(`namesThisMachine(${host}, ${address}) is ${named}`, () =>
      assert.equal(namesThisMachine(host, address), named));
  }
});

test('isLoopback() knows the addresses that only this machine reaches', () => {
  for (const address of ['127.0.0.1', '127.9.9.9', '::1']) assert.ok(isLoopback(address), address);
  for (const address of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.evil.example', '1127.0.0.1']) {
    assert.ok(!isLoopback(address), address);
  }
});

describe('the server', () => {
  for (const [what, status, line, ...headers] of [
    ['a request from this machine', 200, 'GET /', HOST],
    ['one by another of its names', 200, 'GET /', 'Host: localhost:1234'],
    ['one from its own page', 200, 'GET /metrics', HOST, 'Origin: http://127.0.0.1', 'Sec-Fetch-Site: same-origin'],
    ['a link followed from another page', 200, 'GET /', HOST, 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate'],
    ['a foreign name that leads here', 403, 'GET /', 'Host: evil.example'],
    ['no name at all', 400, 'GET /'],
    ['two names', 400, 'GET /', HOST, 'Host: evil.example'],
    ['the same name twice', 400, 'GET /', HOST, HOST],
    ['an empty name', 403, 'GET /', 'Host:'],
    ['a foreign page', 403, 'GET /events', HOST, 'Origin: http://evil.example'],
    ['a page of this machine, but another', 403, 'GET /events', HOST, 'Origin: http://127.0.0.1:8080'],
    ['a page from nowhere', 403, 'GET /events', HOST, 'Origin: null'],
    ['a foreign page that hides its origin', 403, 'GET /metrics', HOST, 'Sec-Fetch-Site: cross-site'],
    ['a method that changes something', 405, 'POST /', HOST],
    ['a method nobody knows', 400, 'BREW /', HOST],
    ['a body', 413, 'GET /', HOST, 'Content-Length: 5'],
    ['a body of unknown length', 413, 'GET /', HOST, 'Transfer-Encoding: chunked'],
  ] as const) {
    test(`the server answers ${what} with ${status}`, async (t) => {
      const { port } = await serving(t);
      assert.match(await ask(port, line, ...headers), new RegExp(`^HTTP/1.1 ${status} `));
    });
  }

  test('the server names the methods that there are', async (t) => {
    const { port } = await serving(t);
    assert.match(await ask(port, 'DELETE /', HOST), /\r\nAllow: GET, HEAD\r\n/);
  });
});
