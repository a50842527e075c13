/** A piece of code made of functions with names, beside a few words of data that it reaches relative to itself. */
import { type Label, type Memory, ripMem } from './operands.ts';
import { Assembler } from './x86.ts';

/** A function of the code: where it begins and how long it is, in bytes from the start of the code. */
export interface CodeSymbol {
  readonly name: string;
  readonly at: number;
  readonly bytes: number;
}

export interface Code {
  /** The code, given how far behind its first byte the data begins. */
  link(dataAt: number): Uint8Array;
  readonly bytes: number;
  readonly symbols: readonly CodeSymbol[];
}

/** What an emitter of a part of a function needs. */
export interface Context {
  readonly a: Assembler;
  readonly cold: Cold;
  /** A byte of the data: 1 where the processor has RDTSCP. */
  readonly hasRdtscp: Memory;
}

/** Parts of a function that are rarely run: they are kept out of the way until its end. A part may add parts. */
export class Cold {
  #parts: (() => void)[] = [];

  add(part: () => void): void {
    this.#parts.push(part);
  }

  emit(): void {
    for (const part of this.#parts) part();
  }
}

const FUNCTION_ALIGNMENT = 64;

export class CodeBuilder {
  readonly a = new Assembler();
  readonly #data = this.a.label('data');
  readonly #symbols: CodeSymbol[] = [];
  readonly #hasRdtscpAt: number;

  /** `hasRdtscpAt`: where in the data the byte of that name stands. */
  constructor(hasRdtscpAt: number) {
    this.#hasRdtscpAt = hasRdtscpAt;
  }

  /** The data's byte at `offset`. */
  word(offset: number): Memory {
    return ripMem(this.#data, offset);
  }

  /** Adds a function, visible under its name; its label may be called by later ones. */
  define(name: string, body: (context: Context) => void): Label {
    const { a } = this;
    a.align(FUNCTION_ALIGNMENT);
    const start = a.label(name);
    a.bind(start);
    const at = a.length;
    const cold = new Cold();
    body({ a, cold, hasRdtscp: this.word(this.#hasRdtscpAt) });
    cold.emit();
    this.#symbols.push({ name, at, bytes: a.length - at });
    return start;
  }

  finish(): Code {
    return {
      bytes: this.a.length,
      symbols: this.#symbols,
      link: (dataAt) => {
        this.#data.at = dataAt;
        return this.a.finish();
      },
    };
  }
}
