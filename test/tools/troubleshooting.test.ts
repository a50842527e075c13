import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

const root = path.join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

/** What stands for a value in a text of the program, and for a number in one of the documentation. */
const VALUE = '\0';

/** The strings of a TypeScript source, those joined by + as one, with values taken out. */
function textsOf(source: string): string[] {
  const code = source.replace(/^\s*(?:\/\*\*?|\*|\/\/).*$/gm, '').replace(/['"`]\s*\+\s*['"`]/g, '');
  const literals = code.matchAll(/'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`/g);
  return Array.from(literals, ([, single, double, template]) =>
    (single ?? double ?? template ?? '').replace(/\$\{[^}]*\}/g, VALUE),
  );
}

/** What the documentation says that the program says: *"like this"*. */
function quotesOf(markdown: string): string[] {
  return Array.from(markdown.matchAll(/\*"([^"]+)"\*/g), ([, quote]) => quote!.replace(/\s+/g, ' '));
}

/** Whether a text of the program says it: "..." is any text, N and M are values. */
function says(texts: readonly string[], quote: string): boolean {
  const parts = quote
    .split('...')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/\b[NM]\b/g, VALUE));
  const pattern = new RegExp(parts.join('.*'), 'i');
  return texts.some((text) => pattern.test(text));
}

const SOURCES = ['src/report/verdict.ts', ...globSync('src/machine/**/*.ts', { cwd: root })];
const texts = SOURCES.flatMap((file) => textsOf(read(file)));
const quotes = quotesOf(read('docs/troubleshooting.md'));

describe('docs/troubleshooting.md', () => {
  test('it quotes what the doctor says', () => assert.ok(quotes.length >= 8, quotes.join('\n')));

  for (const quote of quotes) {
    test(`the doctor says "${quote}"`, () => assert.ok(says(texts, quote)));
  }

  test('a quote that the doctor does not say is found', () => {
    for (const quote of quotes) assert.ok(!says(texts, `${quote.slice(0, 12)} nothing of the kind`), quote);
    assert.ok(!says(texts, 'time went back between vCPUs in N of N of M readings'));
    assert.deepEqual(quotesOf('*"one\ntwo"* and "three"'), ['one two']);
    const source = ["f('a ' + 'b', `c $", "{d}`); // 'no'\n// 'e'"].join('');
    assert.deepEqual(textsOf(source), ['a b', `c ${VALUE}`, 'no']);
  });
});
