import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { libraryTypes } from '../../tools/library-types.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-library-types-'));
after(() => rmSync(folder, { recursive: true }));

function typesOf(files: Readonly<Record<string, string>>): string {
  const at = mkdtempSync(path.join(folder, 'case-'));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(at, file)), { recursive: true });
    writeFileSync(path.join(at, `${file}.d.ts`), text);
  }
  return libraryTypes(at);
}

describe('libraryTypes()', () => {
  test('it gives what is exported and what that names, through other files, and nothing else', () => {
    const types = typesOf({
      index: "export { run, type Options } from './a/run.ts';\n",
      'a/run': `/** Of the file. */
import type { Shape } from '../b/shape.ts';
/** Holds an Unnamed. */
export interface Options {
    readonly shape: Shape<'Told'>;
}
/** Runs. */
export declare function run(options: Options): import("../b/told.ts").Told;
export declare function run(): typeof limit;
export declare function notExported(): void;
export declare const limit = 3;
`,
      'b/shape': "export type Shape<Name> = Readonly<Record<'Own', Name>>;\nexport type Own = 1;\n",
      'b/told': 'export interface Told {\n    readonly told: boolean;\n}\nexport type Unnamed = 1;\n',
    });
    assert.equal(
      types,
      `/** Runs. */
declare function run(options: Options): Told;
declare function run(): typeof limit;
/** Holds an Unnamed. */
interface Options {
  readonly shape: Shape<'Told'>;
}
interface Told {
  readonly told: boolean;
}
declare const limit = 3;
type Shape<Name> = Readonly<Record<'Own', Name>>;
export { run, Options };
`,
    );
  });

  test('it refuses two declarations of one name, and an export that is declared nowhere', () => {
    const twice = {
      index: "export { one } from './one.ts';\nexport { two } from './two.ts';\n",
      one: 'export declare function one(): Same;\nexport type Same = 1;\n',
      two: 'export declare function two(): Same;\nexport type Same = 2;\n',
    };
    assert.throws(() => typesOf(twice), /Same is of two and one/);
    assert.throws(() => typesOf({ index: "export { one } from './one.ts';\n", one: '' }), /one.d.ts does not declare/);
  });
});
