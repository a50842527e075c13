import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { isUnavailable, openSys } from '../../src/machine/sys.ts';
import { clockCode, DATA_BYTES } from '../../src/vdso/clock.ts';
import { CodeBuilder } from '../../src/vdso/code.ts';
import { buildImage } from '../../src/vdso/image.ts';
import { measureCode } from '../../src/vdso/measure.ts';
import { rax } from '../../src/vdso/operands.ts';
import { decodeAll } from './decode.ts';
import { codeOf } from './emulator.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'kvmclock-image-'));
after(() => rmSync(folder, { recursive: true }));

const clock = buildImage(clockCode(), 'kvmclock.so', DATA_BYTES);
const images = { clock, measure: buildImage(measureCode(), 'kvmclock-measure.so', 8) };

/** What a tool of binutils prints of a file; throws where it complains of anything. */
function inspect(tool: 'readelf' | 'objdump', options: string[], file: Uint8Array): string {
  const name = path.join(folder, 'image.so');
  writeFileSync(name, file);
  const { status, stdout, stderr } = spawnSync(tool, [...options, name], { encoding: 'utf8' });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  assert.doesNotMatch(stdout, /warning|error|corrupt|\(bad\)/i);
  return stdout;
}

const has = (tool: string) => spawnSync(tool, ['--version']).status === 0;
const without = (tool: string) => (has(tool) ? false : `${tool} is not here`);

/** The rows of `readelf -l`: type and flags of each segment. */
function segmentsOf(file: Uint8Array): { type: string; flags: string }[] {
  const rows = inspect('readelf', ['-lW'], file).matchAll(/^ {2}([A-Z_]+) +0x.* ([RWE ]{3}) 0x[0-9a-f]+$/gm);
  return Array.from(rows, ([, type, flags]) => ({ type: type!, flags: flags!.replaceAll(' ', '') }));
}

function holdSegments(file: Uint8Array): void {
  assert.deepEqual(segmentsOf(file), [
    { type: 'LOAD', flags: 'R' },
    { type: 'LOAD', flags: 'RE' },
    { type: 'LOAD', flags: 'RW' },
    { type: 'DYNAMIC', flags: 'R' },
    { type: 'GNU_STACK', flags: 'RW' },
  ]);
}

/** Every byte belongs to an instruction, and every function begins and ends with one. */
function holdInstructions(code: Uint8Array, symbols: typeof clock.symbols): void {
  const decoded = decodeAll(code);
  assert.deepEqual(
    decoded.filter(({ mnemonic }) => mnemonic === 'invalid'),
    [],
  );
  const starts = new Set(decoded.map(({ at }) => Number(at)));
  const ends = new Set(decoded.map(({ next }) => Number(next)));
  assert.ok(ends.has(code.length));
  for (const { name, at, bytes } of symbols) assert.ok(starts.has(at) && ends.has(at + bytes), name);
}

for (const [name, image] of Object.entries(images)) {
  describe(`the ${name} image`, () => {
    test('readelf -a accepts the file without a warning', { skip: without('readelf') }, () => {
      const text = inspect('readelf', ['-aW', '--lint'], image.file);
      for (const symbol of image.symbols) assert.match(text, new RegExp(`FUNC +GLOBAL DEFAULT +5 ${symbol.name}\n`));
    });

    test('objdump -d finds an instruction in every byte and a function behind every symbol', {
      skip: without('objdump'),
    }, () => {
      const text = inspect('objdump', ['-dw'], image.file);
      for (const symbol of image.symbols) assert.match(text, new RegExp(`<${symbol.name}>:\n`));
    });

    test('no segment is writable and executable, and the stack is not executable', { skip: without('readelf') }, () =>
      holdSegments(image.file),
    );

    test('there is nothing to relocate, no text relocation, and nothing that it needs', {
      skip: without('readelf'),
    }, () => {
      assert.match(inspect('readelf', ['-rW'], image.file), /There are no relocations/);
      const dynamic = inspect('readelf', ['-dW'], image.file).matchAll(/^ 0x[0-9a-f]+ \(([A-Z_]+)\)/gm);
      assert.deepEqual(
        Array.from(dynamic, ([, tag]) => tag),
        ['SONAME', 'HASH', 'SYMTAB', 'SYMENT', 'STRTAB', 'STRSZ', 'NULL'],
      );
    });

    test('every byte of .text is part of a valid instruction', () => holdInstructions(codeOf(image), image.symbols));

    test('every function begins on a cache line of its own', () => {
      for (const { at } of image.symbols) assert.equal(at % 64, 0);
    });
  });
}

describe('buildImage()', () => {
  test('buildImage() gives the same bytes each time', () => {
    assert.deepEqual(buildImage(clockCode(), 'kvmclock.so', DATA_BYTES).file, clock.file);
  });

  test('buildImage() writes the name that a program linked against the object looks for', {
    skip: without('readelf'),
  }, () => {
    assert.match(inspect('readelf', ['-dW'], clock.file), /Library soname: \[kvmclock\.so\]/);
  });

  test('buildImage() refuses more symbols than fit into the page of headers', () => {
    const builder = new CodeBuilder(0);
    for (let n = 0; n < 100; n++) builder.define(`a_function_with_a_long_name_${n}`, () => builder.a.ret());
    assert.throws(() => buildImage(builder.finish(), 'big.so', 8), /tables end at \d+, beyond one page/);
  });

  const opened = openSys();
  test('buildImage() puts the data behind code of several pages', {
    skip: isUnavailable(opened) && opened.unavailable,
  }, () => {
    assert.ok(!isUnavailable(opened));
    const builder = new CodeBuilder(0);
    const { a } = builder;
    builder.define('store', () => {
      a.mov(builder.word(8), rax);
      a.ret();
    });
    builder.define('padding', () => a.align(3 * 4096));
    builder.define('swap', ({ hasRdtscp }) => {
      a.movImmediate(rax, 7);
      a.xchg(hasRdtscp, rax);
      a.ret();
    });
    const image = buildImage(builder.finish(), 'long.so', 16);
    assert.equal(image.dataAt, 5 * 4096);
    const { swap } = opened.load(image.file, { swap: { return: 'uint64', arguments: [] } }).functions;
    assert.deepEqual([swap(), swap()], [0n, 7n]);
  });

  test('the loader finds every symbol by its hash, and none that is not there', {
    skip: isUnavailable(opened) && opened.unavailable,
  }, () => {
    assert.ok(!isUnavailable(opened));
    const { lib } = opened.load(clock.file, {});
    const first = lib.getSymbol(clock.symbols[0]!.name);
    for (const { name, at } of clock.symbols) assert.equal(lib.getSymbol(name) - first, BigInt(at), name);
    assert.throws(() => lib.getSymbol('kvmclock_'));
  });
});

describe('the checks of the image', { skip: without('readelf') }, () => {
  const PROGRAM_HEADERS = 64;
  const PROGRAM_HEADER = 56;
  const patched = (at: number, value: number) => {
    const file = clock.file.slice();
    file[at] = value;
    return file;
  };
  const flagsOf = (segment: number) => PROGRAM_HEADERS + segment * PROGRAM_HEADER + 4;
  const [READ_WRITE_EXECUTE, INVALID] = [7, 0x06];

  test('catch code that may be written', () => {
    assert.throws(() => holdSegments(patched(flagsOf(1), READ_WRITE_EXECUTE)));
  });

  test('catch data that may be run', () => assert.throws(() => holdSegments(patched(flagsOf(2), READ_WRITE_EXECUTE))));

  test('catch an executable stack', () => assert.throws(() => holdSegments(patched(flagsOf(4), READ_WRITE_EXECUTE))));

  test('catch a file that was cut off', () => {
    assert.throws(() => inspect('readelf', ['-aW'], clock.file.subarray(0, clock.file.length - 100)));
  });

  test('catch a byte that is no instruction', () => {
    const code = codeOf(clock);
    code[0] = INVALID;
    assert.throws(() => holdInstructions(code, clock.symbols));
    assert.throws(() => inspect('objdump', ['-dw'], patched(clock.codeAt, INVALID)));
  });
});
