import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { DOCUMENTS, runExamples } from '../../tools/check-examples.ts';

const root = path.join(import.meta.dirname, '../..');

for (const file of DOCUMENTS) {
  test(`every example of ${file} does what the text shows`, (t) => {
    for (const { example, failed, skipped } of runExamples(file, readFileSync(path.join(root, file), 'utf8'))) {
      assert.equal(failed, undefined, `${example}\n${failed}`);
      if (skipped !== undefined) t.diagnostic(`not run: ${example}: ${skipped}`);
    }
  });
}
