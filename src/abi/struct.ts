/**
 * Little-endian C structures, described once as a table of fields: name -> [type, offset].
 * u64 and s64 are bigints in 0..2^64-1 and -2^63..2^63-1; everything smaller is a number.
 */

export type FieldType = 'u8' | 's8' | 'u16' | 's16' | 'u32' | 's32' | 'u64' | 's64';

export type Layout = Readonly<Record<string, readonly [type: FieldType, offset: number]>>;

/** The JavaScript value of a layout: bigint for 64-bit fields, number for the rest. */
export type Struct<L extends Layout> = { [K in keyof L]: L[K][0] extends 'u64' | 's64' ? bigint : number };

const WIDTH = { u8: 1, s8: 1, u16: 2, s16: 2, u32: 4, s32: 4, u64: 8, s64: 8 } as const;

/** Bytes from the start of the structure to the end of its last field. */
export function extentOf(layout: Layout): number {
  return Math.max(...Object.values(layout).map(([type, offset]) => offset + WIDTH[type]));
}

/** Reads every field of `layout` at `offset`. Throws RangeError where the view is too short. */
export function decodeStruct<const L extends Layout>(layout: L, view: DataView, offset = 0): Struct<L> {
  const value: Record<string, number | bigint> = {};
  for (const [name, [type, at]] of Object.entries(layout)) value[name] = readField(view, type, offset + at);
  return value as Struct<L>;
}

/** Writes every field of `layout` at `offset`; a value that does not fit its field is truncated to it, as a C store would. */
export function encodeStruct<const L extends Layout>(layout: L, value: Struct<L>, view: DataView, offset = 0): void {
  for (const [name, [type, at]] of Object.entries(layout)) {
    writeField(view, type, offset + at, value[name as keyof L] as number | bigint);
  }
}

function readField(view: DataView, type: FieldType, at: number): number | bigint {
  switch (type) {
    case 'u8':
      return view.getUint8(at);
    case 's8':
      return view.getInt8(at);
    case 'u16':
      return view.getUint16(at, true);
    case 's16':
      return view.getInt16(at, true);
    case 'u32':
      return view.getUint32(at, true);
    case 's32':
      return view.getInt32(at, true);
    case 'u64':
      return view.getBigUint64(at, true);
    case 's64':
      return view.getBigInt64(at, true);
  }
}

function writeField(view: DataView, type: FieldType, at: number, value: number | bigint): void {
  switch (type) {
    case 'u8':
    case 's8':
      view.setUint8(at, Number(value));
      return;
    case 'u16':
    case 's16':
      view.setUint16(at, Number(value), true);
      return;
    case 'u32':
    case 's32':
      view.setUint32(at, Number(value), true);
      return;
    case 'u64':
    case 's64':
      view.setBigUint64(at, BigInt(value), true);
  }
}
