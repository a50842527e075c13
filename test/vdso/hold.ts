/** Holds emitted code to its plain function over the same scripts; and breaks the code, to show that this would be seen. */
import assert from 'node:assert/strict';
import fc, { type Arbitrary } from 'fast-check';
import { clockCode, DATA, DATA_BYTES } from '../../src/vdso/clock.ts';
import { buildImage, type Image } from '../../src/vdso/image.ts';
import type { Decoded } from './decode.ts';
import { codeOf, Emulator, load } from './emulator.ts';
import { RECORDS_AT, type Script, Stuck, World } from './world.ts';

export const IMAGE = buildImage(clockCode(), 'kvmclock.so', DATA_BYTES);
const INSTRUCTIONS = load(IMAGE);

/** What an emulator runs. */
export type Instructions = ReadonlyMap<bigint, Decoded>;

/** What the plain functions answer with undefined. */
export const UNSTABLE = 2n ** 64n - 1n;

export type Answer = bigint | number;

/** One function both ways. `emitted` and `plain` are called in turn, `calls` times, on one world each. */
export interface Held {
  readonly symbol: string;
  readonly scripts: Arbitrary<Script>;
  readonly calls: number;
  emitted(emulator: Emulator, script: Script): Answer;
  /** Called once a script: what it returns is called `calls` times. */
  plain(world: World, script: Script): () => Answer;
  /** False where only the answers are held, and not the order of accesses. */
  readonly ordered?: boolean;
}

interface Played {
  readonly answers: readonly (Answer | 'stuck')[];
  readonly log: readonly string[];
}

function play(calls: number, world: World, call: () => Answer, ordered: boolean): Played {
  const answers: (Answer | 'stuck')[] = [];
  try {
    for (let round = 0; round < calls; round++) answers.push(call());
  } catch (error) {
    if (!(error instanceof Stuck)) throw error;
    answers.push('stuck');
  }
  return { answers, log: ordered ? world.log : [] };
}

function playPlain(held: Held, script: Script): Played {
  const world = new World(script);
  return play(held.calls, world, held.plain(world, script), held.ordered ?? true);
}

function playEmitted(held: Held, script: Script, instructions: Instructions): Played {
  const world = new World(script);
  const emulator = new Emulator(IMAGE, world, instructions);
  emulator.store(emulator.dataAt + BigInt(DATA.hasRdtscp), 8, script.hasRdtscp ? 1n : 0n);
  emulator.store(emulator.dataAt + BigInt(DATA.records), 64, script.attached ? RECORDS_AT : 0n);
  emulator.store(emulator.dataAt + BigInt(DATA.offset), 64, script.offset);
  return play(held.calls, world, () => held.emitted(emulator, script), held.ordered ?? true);
}

/** Throws where the emitted code answers otherwise than the plain function, or does something else on its way there. */
export function hold(held: Held, numRuns: number): void {
  const same = (script: Script) => assert.deepEqual(playEmitted(held, script, INSTRUCTIONS), playPlain(held, script));
  fc.assert(fc.property(held.scripts, same), { numRuns });
}

const SAMPLES = 1500;
const SEED = 20141222;

/**
 * Takes one instruction after the other out of the function, and turns one conditional jump after the other round: the
 * texts of those whose loss no script shows.
 */
export function unmissed(held: Held): string[] {
  const scripts = fc.sample(held.scripts, { numRuns: SAMPLES, seed: SEED });
  const plain = scripts.map((script) => playPlain(held, script));
  const seen = (instructions: Instructions) =>
    scripts.some((script, index) => differs(() => playEmitted(held, script, instructions), plain[index]!));
  return unmissedIn(IMAGE, held.symbol, seen);
}

/** The same for any function: `seen` says whether these instructions were found to do otherwise than they should. */
export function unmissedIn(image: Image, symbol: string, seen: (instructions: Instructions) => boolean): string[] {
  assert.ok(!seen(load(image)), 'the code as it is differs');
  return mutants(image, symbol).flatMap(({ name, instructions }) => (seen(instructions) ? [] : [name]));
}

/** A broken function may do anything: fault, run for ever, spoil the stack. */
export function differs(emitted: () => unknown, plain: unknown): boolean {
  try {
    assert.deepEqual(emitted(), plain);
    return false;
  } catch (error) {
    return error instanceof Error;
  }
}

interface Mutant {
  readonly name: string;
  readonly instructions: Instructions;
}

const NOP = 0x90;
const JCC = 0x0f;

/** Every way to take one instruction out of a function or to turn one of its conditional jumps round. */
function mutants(image: Image, symbol: string): Mutant[] {
  const { at, bytes } = image.symbols.find(({ name }) => name === symbol)!;
  const instructions = load(image);
  const start = [...instructions.keys()][0]!;
  const inside = [...instructions.values()].filter(
    (instruction) => instruction.at >= start + BigInt(at) && instruction.next <= start + BigInt(at + bytes),
  );
  return inside.flatMap((instruction) => {
    if (instruction.mnemonic === 'nop') return [];
    const from = Number(instruction.at - start);
    const patched = (patch: (code: Uint8Array) => void) => {
      const code = codeOf(image);
      patch(code.subarray(from, Number(instruction.next - start)));
      return load(image, code);
    };
    const gone: Mutant = {
      name: `without ${instruction.text}`,
      instructions: patched((code) => code.fill(NOP)),
    };
    const isJcc = instruction.mnemonic.startsWith('j') && codeOf(image)[from] === JCC;
    if (!isJcc) return [gone];
    const turned: Mutant = {
      name: `${instruction.text}, turned round`,
      instructions: patched((code) => {
        code[1]! ^= 1; // e and ne, a and be, s and ns are neighbours
      }),
    };
    return [gone, turned];
  });
}
