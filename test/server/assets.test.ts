import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { type Assets, builtAssets, pageAssets } from '../../src/server/assets.ts';

/** Every path that the files refer to and that is not there. */
function missing(assets: Assets): string[] {
  const refers = /(?:\bfrom|\bimport\(?|new URL\()\s*'(\.[^']+)'|(?:src|href)="([^"#]+)"/g;
  const parts = [...assets].filter(([, { type }]) => !type.startsWith('text/plain')); // sources are shown, not run
  return parts.flatMap(([at, asset]) =>
    [...asset.bytes().toString('utf8').matchAll(refers)]
      .map((match) => new URL(match[1] ?? match[2]!, `http://page${at}`).pathname)
      .filter((target) => !assets.has(target))
      .map((target) => `${at} -> ${target}`),
  );
}

describe('pageAssets()', () => {
  test('pageAssets() has everything that its files refer to', async () => {
    const assets = await pageAssets();
    assert.equal(assets.get('/')!.type, 'text/html; charset=utf-8');
    assert.ok(assets.has('/main.ts') && assets.has('/src/guest/landed.ts') && assets.has('/uplot.js'));
    assert.deepEqual(missing(assets), []);
    const without = new Map([...assets].filter(([at]) => at !== '/src/guest/observed.ts' && at !== '/style.css'));
    assert.ok(missing(without).includes('/ -> /style.css'));
  });

  test('pageAssets() has JavaScript where there was TypeScript', async () => {
    const { type, bytes } = (await pageAssets()).get('/src/guest/landed.ts')!;
    assert.equal(type, 'text/javascript; charset=utf-8');
    assert.match(bytes().toString(), /export function landed\(cpu\s*, records\s*\)/);
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--check'], { input: bytes() });
    assert.equal(status, 0, stderr.toString());
  });

  test('pageAssets() has nothing of the layers above the page, and nothing else of the repository', async () => {
    for (const at of (await pageAssets()).keys()) {
      assert.match(at, /^\/(src\/(abi|scale|guest|hypervisor|checker|vdso)\/|source\/guest\/)?[\w./-]*$/);
      assert.ok(!at.includes('..') && !at.includes('package.json'), at);
    }
  });
});

test('builtAssets() has the files of a folder of a kind that a page is made of, and nothing where there is none', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-assets-'));
  try {
    mkdirSync(path.join(folder, 'deep'));
    for (const file of ['index.html', 'deep/worker.js', 'notes.md']) writeFileSync(path.join(folder, file), file);
    const assets = builtAssets(folder);
    assert.deepEqual([...assets.keys()].sort(), ['/deep/worker.js', '/index.html']);
    assert.equal(assets.get('/deep/worker.js')!.bytes().toString(), 'deep/worker.js');
    assert.equal(builtAssets(path.join(folder, 'none')).size, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
