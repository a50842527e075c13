import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { explore } from '../../src/checker/explore.ts';
import { DEFAULT_CONFIGURATION, HOSTS, scenarioOf } from '../../src/checker/scenarios.ts';
import { CAPACITY, EMPTY, StoreBuffers } from '../../src/checker/store-buffers.ts';
import { makeWorld } from '../../src/checker/world.ts';

const stores = fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 })), { maxLength: 12 });

describe('StoreBuffers', () => {
  test('a buffer drains in the order of its stores and forwards the newest, as a list does', () => {
    fc.assert(
      fc.property(stores, (list) => {
        const buffers = new StoreBuffers();
        let buffer = EMPTY;
        for (const [cell, value] of list) buffer = buffers.push(buffer, cell, value);
        for (let cell = 0; cell < 4; cell++) {
          assert.equal(buffers.forward(buffer, cell), list.findLast((entry) => entry[0] === cell)?.[1] ?? -1);
        }
        for (const [cell, value] of list) {
          assert.deepEqual([buffers.oldestCell(buffer), buffers.oldestValue(buffer)], [cell, value]);
          buffer = buffers.drained(buffer);
        }
        assert.equal(buffer, EMPTY);
      }),
    );
  });

  test('push() and drained() give the same contents the same number', () => {
    const buffers = new StoreBuffers();
    const both = buffers.push(buffers.push(EMPTY, 1, 1), 2, 2);
    assert.equal(buffers.drained(both), buffers.push(EMPTY, 2, 2));
  });

  test('isFull() is true from the 12th store on', () => {
    const buffers = new StoreBuffers();
    let buffer = EMPTY;
    for (let i = 0; i < CAPACITY; i++) {
      assert.equal(buffers.isFull(buffer), false);
      buffer = buffers.push(buffer, 0, i);
    }
    assert.deepEqual([CAPACITY, buffers.isFull(buffer), buffers.longest], [12, true, 12]);
  });

  for (const host of HOSTS) {
    test(`no shipped hypervisor leaves as many stores as a buffer takes: ${host}`, () => {
      const { world, complete } = explore(makeWorld(scenarioOf({ ...DEFAULT_CONFIGURATION, host, memory: 'tso' })));
      assert.ok(complete);
      assert.ok(world.buffers.longest > 0 && world.buffers.longest < CAPACITY, String(world.buffers.longest));
    });
  }
});
