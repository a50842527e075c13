import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FFI_FLAG, ffiIsOff, noCommonHrtime, otherThanNode, whyNoFfi } from '../../src/machine/runtime.ts';

test('otherThanNode() names Bun and Deno, which have the versions of a Node too, and not Node', () => {
  assert.equal(otherThanNode(), undefined);
  assert.equal(otherThanNode({ ...process.versions, bun: '1.4.5' }), 'bun 1.4.5');
  assert.equal(otherThanNode({ ...process.versions, deno: '2.9.6' }), 'deno 2.9.6');
});

test('noCommonHrtime() says why where it is not Node', () => {
  assert.equal(noCommonHrtime(), undefined);
  assert.match(noCommonHrtime({ ...process.versions, bun: '1.4.5' })!, /^in bun 1\.4\.5 each thread's process\.hrtime/);
});

test('ffiIsOff() is true of a Node that knows the flag, and whyNoFfi() names it', () => {
  assert.equal(ffiIsOff(), process.allowedNodeEnvironmentFlags.has(FFI_FLAG));
  assert.equal(whyNoFfi(), `this Node (${process.version}) has no node:ffi without ${FFI_FLAG}; 26.9 and later have`);
});
