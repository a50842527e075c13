import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import { CLOCK_BASE, CLOCK_BASE_BYTES } from '../../src/abi/clock-base.ts';
import { openLive } from '../../src/machine/live.ts';
import { isUnavailable } from '../../src/machine/sys.ts';
import { LINE_BYTES } from '../../src/vdso/cached.ts';
import { headerText } from '../../src/vdso/header.ts';
import { SAMPLE, SAMPLE_BYTES } from '../../src/vdso/sample.ts';
import { missingRuntime, otherRuntime } from '../../tools/other-runtimes.ts';
import { skipUnless } from '../require.ts';
import { IMAGE, UNSTABLE } from './hold.ts';

const CALLERS = path.join(import.meta.dirname, 'callers');
const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-callers-'));
after(() => rmSync(folder, { recursive: true }));
const inFolder = (name: string) => path.join(folder, name);
const so = inFolder('kvmclock.so');
writeFileSync(so, IMAGE.file);
writeFileSync(inFolder('kvmclock.h'), headerText('kvmclock.so', IMAGE.symbols));

const live = openLive();

/** Where the live record is, in any process: the name of a mapping and an offset in it. None: it is not here. */
function placeOfLive(): string[] {
  if (isUnavailable(live)) return [];
  for (const line of readFileSync('/proc/self/maps', 'utf8').split('\n')) {
    const [, start, end, name] = /^([0-9a-f]+)-([0-9a-f]+) .*(\[vvar\w*\])$/.exec(line) ?? [];
    if (name === undefined) continue;
    const offset = live.address - BigInt(`0x${start}`);
    if (offset >= 0n && live.address < BigInt(`0x${end}`)) return [name, String(offset)];
  }
  return assert.fail('the live record is in no mapping');
}

interface Answer {
  readonly live: string[];
  readonly [what: string]: unknown;
}

/** Runs a program that prints one line of JSON. */
function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Answer {
  const result = spawnSync(command, args, { encoding: 'utf8', cwd: folder, env: { ...process.env, ...env } });
  assert.deepEqual({ status: result.status, stderr: result.stderr }, { status: 0, stderr: '' });
  return JSON.parse(result.stdout);
}

const OWN = { attach: '1', now: '12345', at: '12345', nowNs: Number((1n << 63n) + 1025n), unstable: String(UNSTABLE) };

/** Runs a caller and holds it to what the image must say of its own record; on the live one, to this process's readings around it. */
function holdCaller(t: TestContext, command: string, args: readonly string[], env?: NodeJS.ProcessEnv): Answer {
  const place = placeOfLive();
  const now = isUnavailable(live) ? () => 0n : live.image.kvmclock_now;
  const before = now();
  const answer = run(command, [...args, ...place], env);
  const later = now();
  const { attach, now: standing, at, nowNs, unstable } = answer;
  assert.deepEqual({ attach, now: standing, at, nowNs, unstable }, OWN);
  if (place.length === 0) t.diagnostic(`the live record was not read: ${isUnavailable(live) && live.unavailable}`);
  else assertSorted([before, ...answer.live.map(BigInt), later], 5);
  return answer;
}

function assertSorted(readings: readonly bigint[], count: number): void {
  assert.equal(readings.length, count);
  for (const [index, ns] of readings.entries()) assert.ok(index === 0 || readings[index - 1]! <= ns, readings.join());
}

const has = (command: string) => spawnSync(command, ['--version']).status === 0;
const without = (command: string) => (has(command) ? false : `${command} is not here`);
const STRICT = ['-Wall', '-Wextra', '-Werror', '-pedantic'];

function compile(compiler: string, args: readonly string[]): void {
  const result = spawnSync(compiler, [...STRICT, '-I', folder, ...args], { encoding: 'utf8', cwd: folder });
  assert.deepEqual({ status: result.status, stderr: result.stderr }, { status: 0, stderr: '' });
}

const source = (name: string) => path.join(CALLERS, name);

describe('C', { skip: without('gcc') }, () => {
  test('a program linked against the object calls every function that the header declares', (t) => {
    for (const standard of ['c99', 'c17']) {
      compile('gcc', [`-std=${standard}`, '-o', 'caller', source('caller.c'), so]);
      const answer = holdCaller(t, inFolder('caller'), [], { LD_LIBRARY_PATH: folder });
      const { relaxed, before, rfc, landed, cached, cachedAgain, readRelaxed } = answer;
      assert.deepEqual([relaxed, before, rfc, landed, cached, cachedAgain, readRelaxed], Array(7).fill('12345'));
      const { anchor, detach, tscs, vcpu, relaxedNs } = answer;
      assert.deepEqual({ anchor, detach, tscs, vcpu }, { anchor: '0', detach: '0', tscs: '1', vcpu: '1' });
      assert.equal(relaxedNs, OWN.nowNs);
      const { clocks, gettime, sample, noCounter, kernel } = answer;
      assert.deepEqual(clocks, Array(8).fill(7_000_000_005));
      assert.deepEqual(gettime, [0, 7, 5, 0, -22, 1]);
      assert.deepEqual({ sample, noCounter, kernel }, { sample: [1, 1, 1, 1], noCounter: 1, kernel: 1 });
    }
  });

  test('the program names every function of the header', () => {
    const text = readFileSync(source('caller.c'), 'utf8');
    const plain = IMAGE.symbols.map(({ name }) => name).filter((name) => !text.includes(`${name}(`));
    assert.deepEqual(plain, ['kvmclock_rdtscp']); // not every processor has it
  });

  test('a program opens the object and finds every symbol', () => {
    compile('gcc', ['-std=c99', '-D_GNU_SOURCE', '-o', 'opener', source('opener.c'), '-ldl']);
    const names = IMAGE.symbols.map(({ name }) => name);
    assert.deepEqual(run(inFolder('opener'), [so, ...names, 'kvmclock_nothing_of_the_kind']), {
      now: '12345',
      found: names.length,
    });
  });

  const offsets = (type: string, fields: Readonly<Record<string, number>>) =>
    Object.entries(fields).map(([name, at]): [string, number] => {
      const field = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      return [`offsetof(struct ${type}, ${field})`, at];
    });

  test("the header's structures are those that the code reads and writes", () => {
    const places = new Map([
      ['sizeof(struct kvmclock_base)', CLOCK_BASE_BYTES],
      ...offsets('kvmclock_base', CLOCK_BASE),
      ['sizeof(struct kvmclock_sample)', SAMPLE_BYTES],
      ...offsets('kvmclock_sample', SAMPLE),
      ['sizeof(struct kvmclock_line)', LINE_BYTES],
    ]);
    const asked = [...places.keys()].map((place) => `printf("\\"${place}\\": %zu,", ${place});`).join('\n');
    const headers = ['stddef.h', 'stdio.h', 'kvmclock.h'].map((name) => `#include "${name}"\n`).join('');
    const program = `${headers}int main(void) { printf("{"); ${asked} printf("\\"end\\": 0}"); return 0; }`;
    writeFileSync(inFolder('structures.c'), program);
    compile('gcc', ['-std=c99', '-o', 'structures', 'structures.c']);
    assert.deepEqual(run(inFolder('structures'), []), { ...Object.fromEntries(places), end: 0 });
  });

  test('the header is refused where it is not C: the strict compiler does look', () => {
    const broken = inFolder('broken.c');
    writeFileSync(broken, '#include "kvmclock.h"\nint main(void) { return kvmclock_now(1); }\n');
    assert.throws(() => compile('gcc', ['-std=c99', '-fsyntax-only', broken]));
  });
});

describe('C++', { skip: without('g++') }, () => {
  for (const standard of ['c++98', 'c++20']) {
    test(`the header compiles as ${standard}`, () => {
      compile('g++', [`-std=${standard}`, '-c', '-o', 'header.o', source('header.cpp')]);
    });
  }
});

describe('other languages', () => {
  test("Python's ctypes reads the clock", { skip: without('python3') }, (t) => {
    holdCaller(t, 'python3', [source('caller.py'), so]);
  });

  const bun = otherRuntime('bun');
  test('Bun reads the clock', { skip: bun === undefined && missingRuntime('bun') }, (t) => {
    holdCaller(t, bun!, ['run', source('bun.mjs'), so]);
  });

  const deno = otherRuntime('deno');
  test('Deno reads the clock', { skip: deno === undefined && missingRuntime('deno') }, (t) => {
    holdCaller(t, deno!, ['run', '--quiet', '--allow-all', source('deno.mjs'), so], {
      DENO_DIR: inFolder('deno'),
      DENO_NO_UPDATE_CHECK: '1',
    });
  });

  test('each of them was given the live record, too', (t) => {
    if (skipUnless(t, 'live', isUnavailable(live) ? live.unavailable : true)) return;
    assert.equal(placeOfLive().length, 2);
  });

  test('the check of their readings catches one that is behind this process', () => {
    assert.throws(() => assertSorted([10n, 9n, 11n, 12n, 13n], 5));
    assert.throws(() => assertSorted([10n, 10n, 11n, 12n, 11n], 5));
    assert.throws(() => assertSorted([10n, 11n], 5));
  });
});
