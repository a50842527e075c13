/** What the dynamic loader reads of a shared object: symbols, their names, the hash over them, the dynamic entries. */
import {
  DT_HASH,
  DT_NULL,
  DT_SONAME,
  DT_STRSZ,
  DT_STRTAB,
  DT_SYMENT,
  DT_SYMTAB,
  ELF64_DYNAMIC_BYTES,
  ELF64_DYNAMIC_LAYOUT,
  ELF64_SYMBOL_BYTES,
  ELF64_SYMBOL_LAYOUT,
  elfHash,
  HASH_HEADER_BYTES,
  STB_GLOBAL,
  STT_FUNC,
  STV_DEFAULT,
  symbolInfo,
} from '../abi/elf.ts';
import { encodeStruct } from '../abi/struct.ts';
import type { CodeSymbol } from './code.ts';

/** A piece of the file, and where it stands there and in memory. */
export interface Placed {
  readonly at: number;
  readonly bytes: Uint8Array;
}

export interface Tables {
  readonly hash: Placed;
  readonly symbols: Placed;
  readonly strings: Placed;
  readonly dynamic: Placed;
}

/** NUL-terminated names, one after the other; the empty name is at 0. */
export class StringTable {
  #text = '\0';
  #at = new Map<string, number>();

  constructor(names: readonly string[]) {
    for (const name of names) {
      this.#at.set(name, this.#text.length);
      this.#text += `${name}\0`;
    }
  }

  at(name: string): number {
    const at = this.#at.get(name);
    if (at === undefined) throw new Error(`no such name in the table: ${name}`);
    return at;
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#text, (character) => character.charCodeAt(0)); // ASCII
  }
}

/** The tables, one behind the other from `at`. Symbol values are addresses from the start of the object. */
export function buildTables(
  symbols: readonly CodeSymbol[],
  codeAt: number,
  section: number,
  soname: string,
  at: number,
): Tables {
  const names = new StringTable([soname, ...symbols.map(({ name }) => name)]);
  const hash = place(at, hashTable(symbols.map(({ name }) => name)));
  const symbolTable = place(end(hash), symbolBytes(symbols, names, codeAt, section));
  const strings = place(end(symbolTable), names.bytes);
  const dynamic = place(
    end(strings),
    dynamicBytes([
      [DT_SONAME, names.at(soname)],
      [DT_HASH, hash.at],
      [DT_SYMTAB, symbolTable.at],
      [DT_SYMENT, ELF64_SYMBOL_BYTES],
      [DT_STRTAB, strings.at],
      [DT_STRSZ, strings.bytes.length],
      [DT_NULL, 0],
    ]),
  );
  return { hash, symbols: symbolTable, strings, dynamic };
}

export const end = ({ at, bytes }: Placed): number => at + bytes.length;

function place(after: number, bytes: Uint8Array): Placed {
  return { at: Math.ceil(after / 8) * 8, bytes };
}

function symbolBytes(symbols: readonly CodeSymbol[], names: StringTable, codeAt: number, section: number): Uint8Array {
  const bytes = new Uint8Array((symbols.length + 1) * ELF64_SYMBOL_BYTES); // the first symbol is no symbol
  const view = new DataView(bytes.buffer);
  symbols.forEach((symbol, index) => {
    const fields = {
      name: names.at(symbol.name),
      info: symbolInfo(STB_GLOBAL, STT_FUNC),
      other: STV_DEFAULT,
      section,
      value: BigInt(codeAt + symbol.at),
      bytes: BigInt(symbol.bytes),
    };
    encodeStruct(ELF64_SYMBOL_LAYOUT, fields, view, (index + 1) * ELF64_SYMBOL_BYTES);
  });
  return bytes;
}

/** One chain a bucket, as many buckets as symbols; symbol numbers count from 1, 0 ends a chain. */
function hashTable(names: readonly string[]): Uint8Array {
  const count = names.length;
  const words = new Uint32Array(2 + count + count + 1);
  const buckets = HASH_HEADER_BYTES / 4;
  const chains = buckets + count;
  words[0] = count;
  words[1] = count + 1;
  names.forEach((name, index) => {
    const bucket = buckets + (elfHash(name) % count);
    words[chains + index + 1] = words[bucket]!;
    words[bucket] = index + 1;
  });
  return new Uint8Array(words.buffer);
}

function dynamicBytes(entries: readonly (readonly [tag: bigint, value: number])[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * ELF64_DYNAMIC_BYTES);
  const view = new DataView(bytes.buffer);
  entries.forEach(([tag, value], index) => {
    encodeStruct(ELF64_DYNAMIC_LAYOUT, { tag, value: BigInt(value) }, view, index * ELF64_DYNAMIC_BYTES);
  });
  return bytes;
}
