import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ELF64_HEADER_BYTES, PN_XNUM } from '../../../src/abi/elf.ts';
import { ImageError, openImage, segmentAt } from '../../../src/report/decode/memory-image.ts';
import { unprivileged } from '../../unprivileged.ts';
import { coreBytes, folder, imageFile, withRecords } from './image-files.ts';

const coreOf = (file: string) => {
  const image = openImage(file);
  image.close();
  return image.core;
};

function complains(file: string, message: RegExp): void {
  assert.throws(
    () => openImage(file),
    (error) => error instanceof ImageError && message.test(error.message) && !error.message.includes('\n'),
  );
}

const TWO_SEGMENTS = [
  { bytes: withRecords(4096, [64]), virtualAddress: 0xffff_8880_0000_0000n, physicalAddress: 0x10_0000n },
  { bytes: withRecords(8192, [0]), virtualAddress: 0xffff_8880_4000_0000n, physicalAddress: 0x4000_0000n },
];

describe('openImage()', () => {
  test('openImage() says in one line what is wrong with a file that is not there, a folder, a device, a loop', () => {
    complains(path.join(folder, 'none'), /^cannot open .*none: there is no such file; give /);
    complains(folder, /^cannot read .*: it is a directory; give /);
    complains('/dev/null', /^cannot read \/dev\/null: it is a device or a pipe; give /);
    const pipe = path.join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    complains(pipe, /^cannot read .*pipe: it is a device or a pipe; give /);
    complains(path.join(imageFile(new Uint8Array(1)), 'below'), /^cannot open .*: a part of its path is no directory/);
    const loop = path.join(folder, 'loop');
    symlinkSync(loop, loop);
    complains(loop, /^cannot open .*loop: its symbolic links go round/);
    complains(path.join(folder, 'n'.repeat(300)), /^cannot open .*: its name is too long/);
  });

  test('openImage() says that a file may not be read', async () => {
    const locked = path.join(folder, 'locked');
    mkdirSync(locked, { mode: 0o700 });
    const file = path.join(locked, 'image');
    chmodSync(locked, 0);
    try {
      await unprivileged(() => complains(file, /^cannot open .*: you may not read it; run as its owner/));
    } finally {
      chmodSync(locked, 0o700);
    }
  });

  test('openImage() takes for raw what is no ELF core: nothing, a few bytes, another kind of ELF file', () => {
    for (const bytes of [[], [0x7f], [0x7f, 0x45, 0x4c, 0x46], coreBytes(TWO_SEGMENTS).with(16, 2)]) {
      assert.equal(coreOf(imageFile(Uint8Array.from(bytes))), undefined);
    }
  });

  for (const many of [false, true]) {
    test(`openImage() reads the segments of a core${many ? ' that counts them in section header 0' : ''}`, () => {
      const core = coreOf(imageFile(coreBytes(TWO_SEGMENTS, many)));
      assert.deepEqual(
        core?.segments.map(({ bytes, virtualAddress, physicalAddress }) => ({
          bytes,
          virtualAddress,
          physicalAddress,
        })),
        TWO_SEGMENTS.map((segment) => ({ ...segment, bytes: segment.bytes.length })),
      );
      assert.equal(core?.missingBytes, 0n);
    });
  }

  test('openImage() takes no note of a core for memory', () => {
    const bytes = coreBytes(TWO_SEGMENTS);
    new DataView(bytes.buffer).setBigUint64(ELF64_HEADER_BYTES + 32, 64n, true); // of the note, in the file
    const core = coreOf(imageFile(bytes));
    assert.deepEqual([core?.segments.length, core?.missingBytes], [2, 0n]);
  });

  test('openImage() counts the bytes of a core that were cut off', () => {
    const core = coreOf(imageFile(coreBytes(TWO_SEGMENTS).slice(0, -5000)));
    assert.deepEqual(
      core?.segments.map(({ bytes }) => bytes),
      [4096, 3192],
    );
    assert.equal(core?.missingBytes, 5000n);
    for (const missing of [8192, 9000]) {
      const shorter = coreOf(imageFile(coreBytes(TWO_SEGMENTS).slice(0, -missing)));
      assert.deepEqual([shorter?.segments.length, shorter?.missingBytes], [1, BigInt(missing)]);
    }
  });

  test('openImage() says what is wrong with a damaged core, and that --raw takes it as it is', () => {
    const good = coreBytes(TWO_SEGMENTS);
    const damaged = (at: number, ...bytes: number[]) => {
      const copy = good.slice();
      copy.set(bytes, at);
      return imageFile(copy);
    };
    complains(imageFile(good.slice(0, 40)), / is an ELF core cut off within its header; --raw takes it as bytes$/);
    complains(
      imageFile(good.slice(0, 100)),
      / is an ELF core whose program headers end at byte 232, beyond its end; --raw/,
    );
    complains(damaged(4, 1), / is an ELF core, but not a 64-bit little-endian one; --raw/);
    complains(damaged(5, 2), / is an ELF core, but not a 64-bit little-endian one; --raw/);
    complains(damaged(54, 0), / whose program headers are 0 bytes each; --raw/);
    complains(damaged(39, 0xff), / end at byte 18374686479671623912, beyond its end; --raw/);
    complains(damaged(56, PN_XNUM & 0xff, PN_XNUM >> 8), / is an ELF core without the section header that counts/);
    const counted = coreBytes(TWO_SEGMENTS, true);
    counted.set([0xff, 0xff, 0xff, 0xff], 232 + 44);
    complains(imageFile(counted), / is an ELF core that claims 4294967295 segments; --raw/);
    const raw = openImage(damaged(4, 1), true);
    raw.close();
    assert.equal(raw.core, undefined);
  });

  test('openImage() takes any damage to a core: it opens the file or throws an ImageError', () => {
    const good = coreBytes(TWO_SEGMENTS, true);
    const damage = fc.array(fc.tuple(fc.nat({ max: 300 }), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(damage, fc.nat({ max: good.length }), (changes, length) => {
        const bytes = good.slice(0, length);
        for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
        const file = imageFile(bytes);
        try {
          openImage(file).close();
        } catch (error) {
          assert.ok(error instanceof ImageError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('segmentAt()', () => {
  const core = coreOf(imageFile(coreBytes(TWO_SEGMENTS)))!;

  test('segmentAt() finds an address by the virtual and by the physical addresses', () => {
    const [first, second] = core.segments;
    assert.equal(segmentAt(core, 0xffff_8880_0000_0040n, 32)?.offset, first!.offset + 0x40);
    assert.equal(segmentAt(core, 0x4000_1fe0n, 32)?.offset, second!.offset + 0x1fe0);
  });

  test('segmentAt() finds nothing where the bytes are not all in one segment', () => {
    assert.equal(segmentAt(core, 0x4000_1fe1n, 32), undefined);
    assert.equal(segmentAt(core, 0x10_0000n - 1n, 32), undefined);
    assert.equal(segmentAt(core, (1n << 64n) - 1n, 32), undefined);
  });
});
