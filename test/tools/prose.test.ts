import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { COMMANDS } from '../../src/cli/commands.ts';
import { type Place, places } from '../../src/cli/completion-model.ts';
import { DOCUMENTS } from '../../tools/check-examples.ts';

const root = path.join(import.meta.dirname, '../..');
const ALL = await places(COMMANDS);

/** The commands that a text names between its lines: `kvmclock vm race`, outside of blocks, which are run. */
function namedIn(markdown: string): string[] {
  const prose = markdown.replaceAll(/^```.*?^```$/gms, '');
  return Array.from(prose.matchAll(/`kvmclock ([^`]+)`/g), ([, words]) => words!);
}

/** What of a command line there is not; undefined where all of it is there. */
function unknownIn(line: string): string | undefined {
  const words = line.split(/\s+/);
  let place: Place = ALL[0]!;
  while (place.commands.some(({ name }) => name === words[0])) {
    const name: string = words.shift()!;
    place = ALL.find(({ path }) => path === `${place.path} ${name}`.trim())!;
  }
  if (place.commands.length > 0 && words.length > 0 && !words[0]!.startsWith('-')) return words[0];
  while (words.length > 0) {
    const word = words.shift()!;
    if (!word.startsWith('-')) {
      if (Array.isArray(place.argument) && !place.argument.includes(word)) return word;
      continue;
    }
    const option = place.options.find(({ names }) => names.includes(word));
    if (option === undefined) return word;
    const value = option.value === undefined ? undefined : words.shift();
    if (Array.isArray(option.value) && value !== undefined && !option.value.includes(value)) return `${word} ${value}`;
  }
  return undefined;
}

/** The files that a text links to, below the root. */
function linkedFrom(file: string, markdown: string): string[] {
  const links = Array.from(markdown.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g), ([, link]) => link!);
  return links.filter((link) => !/^https?:/.test(link)).map((link) => path.join(path.dirname(file), link));
}

describe('the documentation', () => {
  for (const file of [...DOCUMENTS, 'CHANGELOG.md', 'contrib/README.md']) {
    const text = readFileSync(path.join(root, file), 'utf8');
    test(`every command that ${file} names is there, with its options`, () => {
      for (const line of namedIn(text)) assert.equal(unknownIn(line), undefined, `kvmclock ${line}`);
    });
    test(`every file that ${file} links to is there`, () => {
      for (const link of linkedFrom(file, text)) assert.ok(existsSync(path.join(root, link)), link);
    });
  }

  test('a command, an option, a value and a file that are not there are found', () => {
    assert.deepEqual(namedIn('a `kvmclock vm race` b\n```sh\n`kvmclock x`\n```\n`kvmclock`'), ['vm race']);
    for (const line of ['vm race --runs 3', 'check landed --host kvm', 'doctor --textfile DIR', '--machine simulated'])
      assert.equal(unknownIn(line), undefined, line);
    assert.equal(unknownIn('vm fly'), 'fly');
    assert.equal(unknownIn('check --hosts kvm'), '--hosts');
    assert.equal(unknownIn('check landed --host xen'), '--host xen');
    assert.equal(unknownIn('check nobody'), 'nobody');
    assert.deepEqual(linkedFrom('docs/a.md', '[x](../README.md#top), [y](https://example.org)'), ['README.md']);
  });
});
