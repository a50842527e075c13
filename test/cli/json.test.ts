import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { skipWithoutKvm } from '../machine/kvm/real-kvm.ts';
import { imageFile, withRecords } from '../report/decode/image-files.ts';
import { captured } from './captured.ts';

const markdown = readFileSync(path.join(import.meta.dirname, '../../docs/json.md'), 'utf8');

/** The names that stand in backticks in a text. */
function namesIn(text: string): Set<string> {
  const quoted = Array.from(text.replaceAll(/^```.*?^```$/gms, '').matchAll(/`([^`]+)`/g), ([, name]) => name!);
  return new Set(quoted.flatMap((name) => name.split(/[^\w]+/)));
}

const section = (title: string): string =>
  markdown.split(/^## /m).find((text) => text.startsWith(`\`kvmclock ${title}\`\n`)) ?? '';

/** The keys of a value, at any depth; those of `figures` are names of their own. */
function keysOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(keysOf);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, held]) => [key, ...(key === 'figures' ? [] : keysOf(held))]);
}

const REPLAY = 'landed~kvm~today~unstable~sc~v2t1c1~.*b33b2b2b19bbbbbb2b2b27BBBBBBBB';

/** The section, and the words that call the command. */
const CASES: readonly (readonly [title: string, argv: readonly string[], kvm?: 'kvm'])[] = [
  ['doctor', ['doctor', '--machine', 'simulated']],
  ['bench', ['bench', '--rounds', '1']],
  ['bench', ['bench', '--machine', 'simulated', '--rounds', '1']],
  ['bench', ['bench', '--machine', 'simulated', '--stress', '1']],
  ['decode', ['decode', imageFile(withRecords(4096, [64]))]],
  ['vdso', ['vdso']],
  ['check', ['check', 'landed']],
  ['check --mutations', ['check', 'wall', '--mutations']],
  ['check --export', ['check', 'rfc', '--host', 'none', '--export', 'tla']],
  ['replay', ['replay', REPLAY]],
  ['completion', ['completion', 'fish']],
  ['replay', ['replay', REPLAY, '--machine', 'kvm'], 'kvm'],
  ['vm', ['vm', 'bench', '--rounds', '1', '--calls', '1000'], 'kvm'],
  ['vm', ['vm', 'stress', '--seconds', '1'], 'kvm'],
];

describe('docs/json.md', () => {
  for (const [title, argv, needs] of CASES) {
    const shown = argv.map((word) => (word === REPLAY ? 'STRING' : word.startsWith('/') ? 'FILE' : word));
    test(`it names every key that kvmclock ${shown.join(' ')} --json prints`, async (t) => {
      if (needs === 'kvm' && skipWithoutKvm(t)) return;
      const { stdout, stderr } = await captured([...argv, '--json']);
      assert.equal(stderr, '');
      const printed = JSON.parse(stdout) as object;
      const [here, anywhere] = [namesIn(section(title)), namesIn(markdown)];
      for (const key of Object.keys(printed)) assert.ok(here.has(key), `${key} of ${title}`);
      for (const key of keysOf(printed)) assert.ok(anywhere.has(key), key);
    });
  }

  test('a key that it does not name is found', () => {
    assert.ok(!namesIn(markdown).has('speed'));
    assert.deepEqual(keysOf({ a: [{ b: 1 }], figures: { c: 2 } }), ['a', 'b', 'figures']);
    assert.deepEqual([...namesIn('`a.b[].c` d\n```\n`e`\n```\n')], ['a', 'b', 'c']);
  });
});
