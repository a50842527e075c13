/** Looks through an image for records, in constant memory: holes are jumped over, zeros skipped, the rest tested by words. */
import { setImmediate } from 'node:timers/promises';
import { PVTI_BYTES } from '../../abi/pvti.ts';
import { doubtsAt } from '../../guest/plausible.ts';
import type { MemoryImage } from './memory-image.ts';
import { nextCandidate } from './plausible-record.ts';

const CHUNK_BYTES = 256 * 1024;
/** Between two turns of the event loop, so that an interrupt is heard and progress can be shown. */
const BYTES_A_TURN = 64 * 1024 * 1024;

/** Bytes `start`..`end - 1` of the file, whose records lie at multiples of 4 from `start`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface Scan {
  /** File offsets of the records, in order of their range. */
  readonly offsets: readonly number[];
  /** Whether it stopped at `limit` records: there may be more. */
  readonly stopped: boolean;
}

/** `onProgress` is called at every turn of the event loop with the bytes done and the bytes in all. */
export async function scanImage(
  image: MemoryImage,
  limit: number,
  onProgress?: (done: number, total: number) => void,
): Promise<Scan> {
  const ranges = rangesOf(image);
  const total = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  const buffer = Buffer.from(new ArrayBuffer(CHUNK_BYTES));
  const offsets: number[] = [];
  let done = 0;
  let turn = 0;
  for (const { start, end } of ranges) {
    for (let at = start; at + PVTI_BYTES <= end; ) {
      const data = fromData(image, at, start);
      if (data === undefined || data + PVTI_BYTES > end) break;
      const length = image.read(data, buffer.subarray(0, Math.min(CHUNK_BYTES, end - data)));
      if (length < PVTI_BYTES) break; // the file has become shorter
      scanChunk(buffer, length, data, offsets);
      if (offsets.length >= limit) return { offsets: offsets.slice(0, limit), stopped: true };
      at = data + (length & ~3) - (PVTI_BYTES - 4); // a record that begins in this chunk's last bytes is met in the next
      if (at - start + done >= turn) {
        turn = at - start + done + BYTES_A_TURN;
        onProgress?.(at - start + done, total);
        await setImmediate();
      }
    }
    done += end - start;
  }
  return { offsets, stopped: false };
}

/** Where to read on, in step with the range's start. A record's first word is not 0, so none begins in a hole. */
function fromData(image: MemoryImage, at: number, start: number): number | undefined {
  const data = image.nextData(at);
  return data === undefined || data <= at ? data : data - ((data - start) % 4);
}

const zeros = Buffer.alloc(CHUNK_BYTES);

function scanChunk(buffer: Buffer<ArrayBuffer>, length: number, fileOffset: number, offsets: number[]): void {
  if (buffer.compare(zeros, 0, length, 0, length) === 0) return;
  const words = new Int32Array(buffer.buffer, buffer.byteOffset, length >>> 2);
  const view = new DataView(buffer.buffer, buffer.byteOffset, length);
  for (let at = nextCandidate(words, 0, words.length); at !== -1; at = nextCandidate(words, at + 1, words.length)) {
    if (doubtsAt(view, at * 4).length === 0) offsets.push(fileOffset + at * 4);
  }
}

/**
 * The whole file, or the bytes of a core's segments, each byte once though segments overlap (a core may show one page at
 * several addresses). Segments whose addresses are not in step with their file offsets are ranges of their own.
 */
export function rangesOf(image: Pick<MemoryImage, 'bytes' | 'core'>): Range[] {
  if (image.core === undefined) return [{ start: 0, end: image.bytes }];
  const byPhase: Range[][] = [[], [], [], []];
  const sorted = [...image.core.segments].sort((a, b) => a.offset - b.offset);
  for (const { offset, bytes, virtualAddress } of sorted) {
    const lead = Number(-virtualAddress & 3n); // to the first multiple of 4
    const start = offset + lead;
    const end = offset + bytes;
    const ranges = byPhase[start % 4]!;
    const last = ranges.at(-1);
    if (last !== undefined && start <= last.end)
      ranges[ranges.length - 1] = { start: last.start, end: Math.max(end, last.end) };
    else if (end > start) ranges.push({ start, end });
  }
  return byPhase.flat();
}
