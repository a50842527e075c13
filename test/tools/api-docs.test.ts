import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import * as library from '../../src/index.ts';
import { currentPage, declarationsIn, exportsOf } from '../../tools/api-docs.ts';

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

  test('every function in it has a docstring', () => {
    for (const [, name, body] of committed.matchAll(/^### (\w+)\n\n([\s\S]*?)^```mts\nfunction/gm)) {
      assert.ok(body?.trim(), `${name} has none`);
    }
  });
});

describe('declarationsIn()', () => {
  test('it takes a file apart: docstrings, overloads as one, what is open over several lines', () => {
    const source = `/** Of the file. */
import { type X } from './x.ts';
/**
 * Adds, in \`ns\`.
 *
 *   add(1)
 */
export declare function add(a: number): number;
export declare function add(a: X, b: {
    readonly c: '{';
}): number;
export interface Held {
    /** A { in a docstring. */
    readonly held: number;
}
type Own = Held['held'];
export {};
`;
    assert.deepEqual(declarationsIn(source), [
      {
        name: 'add',
        doc: 'Adds, in `ns`.\n\n    add(1)',
        text: "function add(a: number): number;\nfunction add(a: X, b: {\n  readonly c: '{';\n}): number;",
      },
      { name: 'Held', doc: '', text: 'interface Held {\n  /** A { in a docstring. */\n  readonly held: number;\n}' },
      { name: 'Own', doc: '', text: "type Own = Held['held'];" },
    ]);
  });
});

describe('exportsOf()', () => {
  test('it lists names and files, types too', () => {
    assert.deepEqual(exportsOf("export type { A } from './abi/a.ts';\nexport { b, type C } from './guest/b.ts';\n"), [
      { name: 'A', file: 'abi/a' },
      { name: 'b', file: 'guest/b' },
      { name: 'C', file: 'guest/b' },
    ]);
  });
});
