import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { declarationsIn, exportsOf, importsOf } from '../../tools/declarations.ts';

describe('declarationsIn()', () => {
  test('it takes a file apart: docstrings, overloads as one, what is open over several lines', () => {
    const source = `/** Of the file. */
import { type X } from './x.ts';
/**
 * Adds, in \`ns\`.
 */
export declare function add(a: number): number;
export declare function add(a: X, b: {
    readonly c: '{';
}): number;
export interface Held {
    /**
     * A { in a docstring.
     */
    readonly held: number;
}
type Own = Held['held'];
export {};
`;
    assert.deepEqual(declarationsIn(source), [
      {
        name: 'add',
        doc: '/**\n * Adds, in `ns`.\n */',
        text: "function add(a: number): number;\nfunction add(a: X, b: {\n  readonly c: '{';\n}): number;",
      },
      {
        name: 'Held',
        doc: '',
        text: 'interface Held {\n  /**\n   * A { in a docstring.\n   */\n  readonly held: number;\n}',
      },
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

describe('importsOf()', () => {
  test('it finds the file of each name, from the file that imports it', () => {
    const source = "import type { A, B } from '../abi/a.ts';\nimport { type C } from './c.ts';\n";
    assert.deepEqual(
      [...importsOf(source, 'guest/b')],
      [
        ['A', 'abi/a'],
        ['B', 'abi/a'],
        ['C', 'guest/c'],
      ],
    );
  });
});
