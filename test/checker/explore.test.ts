import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DEFAULT_BOUNDS, type ExploreOptions, explore, violated, witnessed } from '../../src/checker/explore.ts';
import { DEFAULT_CONFIGURATION, scenarioOf } from '../../src/checker/scenarios.ts';
import { makeWorld } from '../../src/checker/world.ts';

const search = (options: ExploreOptions = {}) =>
  explore(makeWorld(scenarioOf({ ...DEFAULT_CONFIGURATION, reader: 'rfc' })), options);

describe('explore()', () => {
  test('explore() is complete with room for just the states that there are, and cut off with one less', () => {
    const { states } = search();
    const just = search({ bounds: { ...DEFAULT_BOUNDS, states } });
    assert.deepEqual([just.complete, just.states], [true, states]);
    assert.equal(search({ bounds: { ...DEFAULT_BOUNDS, states: states - 1 } }).complete, false);
    assert.equal(search({ bounds: { ...DEFAULT_BOUNDS, states: 1 } }).complete, false);
  });

  test('explore() is cut off where the memory is used up, and takes no more', () => {
    const bytes = 2 ** 19;
    const { complete, set, states } = search({ bounds: { ...DEFAULT_BOUNDS, bytes } });
    assert.equal(complete, false);
    assert.ok(states > 1 && set.bytes <= bytes, `${states} states, ${set.bytes} bytes`);
  });

  test('explore() is cut off where enough was found, as soon as it is asked', () => {
    const asked: number[] = [];
    const { complete, states } = search({
      enough(count) {
        asked.push(count);
        return true;
      },
    });
    assert.deepEqual([complete, asked.length], [false, 1]);
    assert.ok(states < search().states);
  });

  test('explore() tells what was found from the bounds that it kept to: nothing of a search that saw one state', () => {
    const cut = search({ bounds: { ...DEFAULT_BOUNDS, states: 1 } });
    assert.deepEqual([violated(cut), witnessed(cut)], [[], []]);
    assert.ok(violated(search()).length > 0 && witnessed(search()).length > 0);
  });
});
