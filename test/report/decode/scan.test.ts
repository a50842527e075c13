import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { truncateSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { doubtsAt } from '../../../src/guest/plausible.ts';
import { isUnavailable, openSys } from '../../../src/machine/sys.ts';
import { openImage } from '../../../src/report/decode/memory-image.ts';
import { rangesOf, scanImage } from '../../../src/report/decode/scan.ts';
import { coreBytes, imageFile, RECORD, recordBytes, sparseFile, withRecords } from './image-files.ts';

const CHUNK = 256 * 1024;

async function scanFile(file: string, limit = 1000) {
  const image = openImage(file);
  try {
    return await scanImage(image, limit);
  } finally {
    image.close();
  }
}

describe('scanImage()', () => {
  type ScanBytes = (bytes: Uint8Array) => Promise<readonly number[]>;

  const scanBytes: ScanBytes = async (bytes) => (await scanFile(imageFile(bytes))).offsets;

  /** Records at every place around the seams of the pieces in which a file is read. */
  async function findsAll(scan: ScanBytes): Promise<void> {
    for (let shift = -36; shift <= 36; shift += 4) {
      const offsets = [0, CHUNK + shift, 2 * CHUNK - 64 + shift, 3 * CHUNK - 32];
      assert.deepEqual(await scan(withRecords(3 * CHUNK, offsets)), offsets, `${shift} from the seam`);
    }
  }

  test('scanImage() finds a record at every place around the seams of its pieces', () => findsAll(scanBytes));

  test('that check catches a scan whose pieces do not overlap', async () => {
    const seams: ScanBytes = async (bytes) => {
      const found: number[] = [];
      for (let piece = 0; piece < bytes.length; piece += CHUNK) {
        const view = new DataView(bytes.buffer, piece, CHUNK);
        for (let at = 0; at + 32 <= CHUNK; at += 4) if (doubtsAt(view, at).length === 0) found.push(piece + at);
      }
      return found;
    };
    await assert.rejects(() => findsAll(seams), /from the seam/);
  });

  test('scanImage() finds a record that is all of its file', async () => {
    assert.deepEqual(await scanBytes(recordBytes()), [0]);
  });

  test('scanImage() finds records at multiples of 4 only', async () => {
    const bytes = new Uint8Array(4096);
    for (const offset of [101, 202, 303, 404]) bytes.set(recordBytes(), offset);
    assert.deepEqual(await scanBytes(bytes), [404]);
  });

  test('scanImage() finds nothing in random bytes, zeros, ones, a file of less than a record, and an empty one', async () => {
    const random = randomFillSync(new Uint8Array(4 * 1024 * 1024 + 5));
    for (const bytes of [random, new Uint8Array(100_000), new Uint8Array(100_000).fill(0xff), new Uint8Array(31)]) {
      assert.deepEqual(await scanBytes(bytes), []);
    }
    assert.deepEqual(await scanBytes(new Uint8Array(0)), []);
  });

  test('scanImage() finds the records that are planted in random bytes', async () => {
    const place = fc.uniqueArray(fc.nat({ max: 8000 }), { maxLength: 10, comparator: (a, b) => Math.abs(a - b) < 9 });
    await fc.assert(
      fc.asyncProperty(place, async (places) => {
        const bytes = randomFillSync(new Uint8Array(32_064));
        const offsets = places.map((index) => index * 4).sort((a, b) => a - b);
        for (const offset of offsets) bytes.set(recordBytes(), offset);
        assert.deepEqual(await scanBytes(bytes), offsets);
      }),
      { numRuns: 50 },
    );
  });

  test('scanImage() stops at its limit and says so', async () => {
    const file = imageFile(withRecords(4096, [0, 64, 128, 192]));
    assert.deepEqual(await scanFile(file, 3), { offsets: [0, 64, 128], stopped: true });
    assert.deepEqual(await scanFile(file, 4), { offsets: [0, 64, 128, 192], stopped: true }, 'it looks no further');
    assert.deepEqual(await scanFile(file, 5), { offsets: [0, 64, 128, 192], stopped: false });
  });

  test('scanImage() goes through a sparse file in little memory, finding what lies at its start, middle and end', async (t) => {
    const holesSeen = !isUnavailable(openSys());
    const length = (holesSeen ? 16 * 1024 : 64) * 1024 * 1024;
    if (!holesSeen) t.diagnostic('holes cannot be asked for here: 64 MiB in place of 16 GiB');
    const offsets = [0, length / 2 + 4, length - 32];
    const file = sparseFile(length, offsets);
    const before = process.memoryUsage().rss;
    assert.deepEqual((await scanFile(file)).offsets, offsets);
    assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024);
  });

  test('scanImage() goes on behind a hole in step with its range, with a record that begins in the hole too', async () => {
    const version = 0x0200_0000; // three of its bytes are zeroes, and may lie in the hole
    const hole = 1024 * 1024;
    for (let lead = 0; lead < 4; lead++) {
      const memory = { bytes: new Uint8Array(2 * hole), virtualAddress: 0x1000n };
      const bytes = coreBytes([{ bytes: new Uint8Array(lead), virtualAddress: 0n }, memory]);
      const start = bytes.length - 2 * hole;
      const before = hole - ((hole - start) % 4);
      const offsets = [before, before + 36];
      const file = sparseFile(bytes.length, offsets, { ...RECORD, version }, bytes.subarray(0, start));
      assert.deepEqual((await scanFile(file)).offsets, offsets, `${lead}`);
    }
  });

  test('scanImage() ends where a file has become shorter since it was opened', async () => {
    for (const [left, offsets] of [
      [16, []],
      [CHUNK + 16, [CHUNK - 64]],
    ] as const) {
      const file = imageFile(withRecords(4 * CHUNK, [CHUNK - 64, 2 * CHUNK]));
      const image = openImage(file);
      truncateSync(file, left);
      assert.deepEqual((await scanImage(image, 1000)).offsets, offsets);
      image.close();
    }
  });

  test('scanImage() tells its progress, never past the end, and gives way to other work', async () => {
    const image = openImage(imageFile(new Uint8Array(130 * 1024 * 1024).fill(1)));
    const seen: number[] = [];
    let turns = 0;
    const tick = setInterval(() => turns++, 0);
    await scanImage(image, 1000, (done, total) => {
      assert.equal(total, image.bytes);
      seen.push(done);
    });
    clearInterval(tick);
    image.close();
    assert.ok(seen.length >= 2 && seen.length < 10, `${seen}`);
    assert.ok(seen.every((done, index) => done <= image.bytes && done > (seen[index - 1] ?? 0)));
    assert.ok(turns > 0);
  });

  test('scanImage() tells its progress over all segments of a core', async () => {
    const MIB = 1024 * 1024;
    const bytes = 70 * MIB;
    const starts = [1, 101, 201].map((mib) => mib * MIB);
    const empty = new Uint8Array(0);
    const segments = starts.map((start) => ({ bytes: empty, offset: BigInt(start), claimedBytes: BigInt(bytes) }));
    const ends = starts.map((start) => start + bytes - 32);
    const image = openImage(sparseFile(300 * MIB, ends, RECORD, coreBytes(segments)));
    const seen: number[] = [];
    const { offsets } = await scanImage(image, 1000, (done, total) => {
      assert.equal(total, 3 * bytes);
      seen.push(done);
    });
    image.close();
    assert.deepEqual(offsets, ends);
    assert.ok(seen.length >= 3 && seen.every((done, index) => done <= 3 * bytes && done > (seen[index - 1] ?? -1)));
    assert.ok(seen.at(-1)! > 2 * bytes, `${seen}`);
  });
});

describe('rangesOf()', () => {
  const segment = (offset: number, bytes: number, virtualAddress: bigint) => ({
    offset,
    bytes,
    virtualAddress,
    physicalAddress: 0n,
  });
  const ranges = (...segments: ReturnType<typeof segment>[]) =>
    rangesOf({ bytes: 1 << 20, core: { segments, missingBytes: 0n } });

  test('rangesOf() takes each byte once though segments overlap or touch', () => {
    assert.deepEqual(
      ranges(segment(4096, 4096, 0n), segment(0, 4096, 0x1000n), segment(0, 8192, 0x9000n), segment(12288, 64, 0n)),
      [
        { start: 0, end: 8192 },
        { start: 12288, end: 12352 },
      ],
    );
  });

  test('rangesOf() makes one range of segments that follow each other in the file, wherever they were', () => {
    assert.deepEqual(ranges(segment(0, 4096, 0x9000n), segment(4096, 4096, 0n)), [{ start: 0, end: 8192 }]);
  });

  test('rangesOf() starts where the address is a multiple of 4', () => {
    assert.deepEqual(ranges(segment(100, 64, 0x1001n)), [{ start: 103, end: 164 }]);
    assert.deepEqual(ranges(segment(101, 64, 0x1000n), segment(100, 64, 0x1000n)), [
      { start: 100, end: 164 },
      { start: 101, end: 165 },
    ]);
  });

  test('scanImage() finds no record that does not lie in a segment as a whole', async () => {
    const memory = { bytes: withRecords(4096, [1024 - 32, 2048 - 28, 3072]), claimedBytes: 2048n };
    const bytes = coreBytes([memory]);
    assert.deepEqual((await scanFile(imageFile(bytes))).offsets, [bytes.length - 4096 + 1024 - 32]);
  });

  test('scanImage() finds records by the address, wherever they lie in the file', async () => {
    for (let lead = 0; lead < 4; lead++) {
      const padding = { bytes: new Uint8Array(lead), virtualAddress: 0n };
      const memory = { bytes: withRecords(256, [64, 128]), virtualAddress: 0x1000n };
      const bytes = coreBytes([padding, memory]);
      const start = bytes.length - 256;
      assert.deepEqual((await scanFile(imageFile(bytes))).offsets, [start + 64, start + 128]);
    }
  });
});
