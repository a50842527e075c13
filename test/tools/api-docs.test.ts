import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import * as library from '../../src/index.ts';
import { currentPage, markdown } from '../../tools/api-docs.ts';
import { exportsOf } from '../../tools/declarations.ts';

const committed = readFileSync(path.join(import.meta.dirname, '../../docs/api.md'), 'utf8');
const index = readFileSync(path.join(import.meta.dirname, '../../src/index.ts'), 'utf8');

describe('docs/api.md', () => {
  test('it is what the docstrings make; npm run api-docs writes it anew', () => {
    assert.equal(committed, currentPage());
  });

  test('it has every name that the library exports', () => {
    const names = exportsOf(index).map(({ name }) => name);
    for (const name of Object.keys(library)) assert.ok(names.includes(name), name);
    for (const name of names) assert.match(committed, new RegExp(`^### ${name}$`, 'm'));
  });

  test('everything in it has a docstring', () => {
    const bare = (page: string) => Array.from(page.matchAll(/^### (\w+)\n\n```/gm), ([, name]) => name);
    assert.deepEqual(bare(committed), []);
    assert.deepEqual(bare('### f\n\n```mts\n'), ['f']);
  });
});

describe('markdown()', () => {
  test('it takes the stars away and makes what is indented code', () => {
    assert.equal(markdown('/**\n * Adds, in `ns`.\n *\n *   add(1)\n */'), 'Adds, in `ns`.\n\n    add(1)');
    assert.equal(markdown('/** One line. */'), 'One line.');
  });
});
