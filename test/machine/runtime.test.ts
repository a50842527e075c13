import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noCommonHrtime, otherThanNode } from '../../src/machine/runtime.ts';

test('otherThanNode() names Bun and Deno, which have the versions of a Node too, and not Node', () => {
  assert.equal(otherThanNode(), undefined);
  assert.equal(otherThanNode({ ...process.versions, bun: '1.4.5' }), 'bun 1.4.5');
  assert.equal(otherThanNode({ ...process.versions, deno: '2.9.6' }), 'deno 2.9.6');
});

test('noCommonHrtime() says why where it is not Node', () => {
  assert.equal(noCommonHrtime(), undefined);
  assert.match(noCommonHrtime({ ...process.versions, bun: '1.4.5' })!, /^in bun 1\.4\.5 each thread's process\.hrtime/);
});
