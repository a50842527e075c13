/** The records of a memory image, taken apart: what each says, what that means, and the time it gives. */
import { decodePvti, PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT, PVTI_BYTES } from '../../abi/pvti.ts';
import { doubtsAt } from '../../guest/plausible.ts';
import { lineAt } from '../../guest/sequence.ts';
import { tscHz, tscKhz } from '../../scale/time-scale.ts';
import { ImageError, type MemoryImage, segmentAt } from './memory-image.ts';
import { scanImage } from './scan.ts';

/** One record. u64 are decimal strings, as in every JSON of this project. */
export interface DecodedRecord {
  /** In the file, bytes. */
  readonly offset: number;
  /** Of an ELF core: where the record was; null where the core does not say. */
  readonly virtualAddress: string | null;
  readonly physicalAddress: string | null;
  readonly version: number;
  readonly tscTimestamp: string;
  readonly systemTime: string;
  readonly tscToSystemMul: number;
  readonly tscShift: number;
  readonly flags: number;
  readonly stable: boolean;
  readonly guestStopped: boolean;
  /** As a guest's kernel computes it, so up to 2^-shift - 1 kHz low; null where mul is 0. */
  readonly tscKhz: number | null;
  /** To the hertz; null where mul is 0. */
  readonly tscHz: number | null;
  /** What speaks against its being a record; empty where nothing does. */
  readonly doubts: readonly string[];
  /** The time that it gives at the TSC that was asked for; null where none was. */
  readonly at: TimeAt | null;
}

export interface TimeAt {
  readonly tsc: string;
  readonly ns: string;
  /** Cycles by which the TSC is behind the timestamp, else null. A reader takes that for a delta near 2^64. */
  readonly behindCycles: string | null;
}

export interface DecodeResult {
  readonly file: string;
  readonly kind: 'raw' | 'core';
  readonly bytes: number;
  /** Of a core: bytes that its segments claim beyond the end of the file. */
  readonly missingBytes: string;
  readonly records: readonly DecodedRecord[];
  /** The scan stopped at its limit: there may be more. */
  readonly stopped: boolean;
}

/** Where to look: at one place, or in the whole file for at most `limit` records. */
export type Where = { readonly offset: number } | { readonly address: bigint } | { readonly limit: number };

/** `tsc`: gives the time at it too. Throws ImageError where the place is not in the file. */
export async function decodeImage(
  image: MemoryImage,
  where: Where,
  tsc?: bigint,
  onProgress?: (done: number, total: number) => void,
): Promise<DecodeResult> {
  const found = await offsetsOf(image, where, onProgress);
  return {
    file: image.file,
    kind: image.core === undefined ? 'raw' : 'core',
    bytes: image.bytes,
    missingBytes: String(image.core?.missingBytes ?? 0n),
    records: found.offsets.map((offset) => decodeAt(image, offset, tsc)),
    stopped: found.stopped,
  };
}

async function offsetsOf(image: MemoryImage, where: Where, onProgress?: (done: number, total: number) => void) {
  if ('limit' in where) return scanImage(image, where.limit, onProgress);
  if ('offset' in where) return { offsets: [where.offset], stopped: false };
  if (image.core === undefined) {
    throw new ImageError(`cannot look for an address in ${image.file}: it is no ELF core; give --offset`);
  }
  const place = segmentAt(image.core, where.address, PVTI_BYTES);
  if (place === undefined) {
    throw new ImageError(
      `cannot find ${PVTI_BYTES} bytes at address 0x${where.address.toString(16)} in ${image.file}: no segment holds them`,
    );
  }
  return { offsets: [place.offset], stopped: false };
}

function decodeAt(image: MemoryImage, offset: number, tsc: bigint | undefined): DecodedRecord {
  const bytes = new Uint8Array(PVTI_BYTES);
  if (image.read(offset, bytes) < PVTI_BYTES) {
    throw new ImageError(
      `cannot decode ${PVTI_BYTES} bytes at offset ${offset} of ${image.file}: it ends at ${image.bytes}; give a smaller --offset`,
    );
  }
  const view = new DataView(bytes.buffer);
  const pvti = decodePvti(view);
  const segment = image.core?.segments.find(
    (each) => offset >= each.offset && offset + PVTI_BYTES <= each.offset + each.bytes,
  );
  const hz = tscHz(pvti.tscToSystemMul, pvti.tscShift);
  const into = BigInt(offset - (segment?.offset ?? 0));
  return {
    offset,
    virtualAddress: segment === undefined ? null : String(segment.virtualAddress + into),
    physicalAddress: segment === undefined ? null : String(segment.physicalAddress + into),
    version: pvti.version,
    tscTimestamp: String(pvti.tscTimestamp),
    systemTime: String(pvti.systemTime),
    tscToSystemMul: pvti.tscToSystemMul,
    tscShift: pvti.tscShift,
    flags: pvti.flags,
    stable: (pvti.flags & PVCLOCK_TSC_STABLE_BIT) !== 0,
    guestStopped: (pvti.flags & PVCLOCK_GUEST_STOPPED) !== 0,
    tscKhz: tscKhz(pvti.tscToSystemMul, pvti.tscShift) ?? null,
    tscHz: hz === undefined ? null : Math.round(hz),
    doubts: doubtsAt(view, 0),
    at: tsc === undefined ? null : timeAt(pvti, tsc),
  };
}

function timeAt(pvti: ReturnType<typeof decodePvti>, tsc: bigint): TimeAt {
  const { tscTimestamp, systemTime, tscToSystemMul, tscShift } = pvti;
  return {
    tsc: String(tsc),
    ns: String(lineAt(tsc, tscTimestamp, systemTime, tscToSystemMul, tscShift)),
    behindCycles: tsc < tscTimestamp ? String(tscTimestamp - tsc) : null,
  };
}
