import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc, { type Arbitrary } from 'fast-check';
import { buildImage } from '../../src/vdso/image.ts';
import {
  BRACKET_LOOP,
  BRACKET_LOOP_BYTES,
  MEASURE_DATA_BYTES,
  measureCode,
  TIME_LOOP,
  TIME_LOOP_BYTES,
  WARP_LOOP,
  WARP_LOOP_BYTES,
} from '../../src/vdso/measure.ts';
import { Emulator, load, type Platform } from './emulator.ts';
import { differs, type Instructions, UNSTABLE, unmissedIn } from './hold.ts';
import { RDI, RSI } from './semantics.ts';

const IMAGE = buildImage(measureCode(), 'kvmclock-measure.so', MEASURE_DATA_BYTES);
const INSTRUCTIONS = load(IMAGE);
const BLOCK_AT = 0x5000_0000n;
const SHARED_AT = 0x5000_1000n;
const CALLEE_AT = 0x4000_0000n;
const BRACKET_AT = 0x4000_1000n;
const [FIRST, SECOND] = [0x11n, 0x22n];

/** Words of memory, a TSC that takes 100 cycles a look, and what was done. */
class Bench implements Platform {
  readonly log: string[] = [];
  readonly words = new Map<bigint, bigint>();
  #tsc = 0x1_ffff_ff80n; // its high half changes on the way

  load(address: bigint, bits: number): bigint {
    assert.equal(bits, 64);
    return this.words.get(address) ?? 0n;
  }
  store(address: bigint, bits: number, value: bigint): void {
    assert.equal(bits, 64);
    this.words.set(address, value);
  }
  tsc(order: 'ordered' | 'plain'): bigint {
    this.log.push(`tsc ${order}`);
    this.#tsc += 100n;
    return this.#tsc;
  }
  fence(): void {
    this.log.push('fence');
  }
  syscall({ registers }: Emulator): bigint {
    this.log.push(`syscall ${registers[0]} clock ${registers[RDI]}`);
    return 0n;
  }
  rdtscp = () => assert.fail('RDTSCP');
  segmentLimit = () => assert.fail('LSL');
  cpuid = () => assert.fail('CPUID');
  pause = () => assert.fail('PAUSE');
}

/** Runs a loop of `count` rounds whose callees are `callee` and `bracket`; gives the words that it left in its block. */
function run(
  symbol: string,
  count: number,
  callees: { callee(bench: Bench): bigint; bracket?(): bigint },
  instructions: Instructions,
): { word(offset: number): bigint; bench: Bench } {
  const bench = new Bench();
  const emulator = new Emulator(IMAGE, bench, instructions);
  const checked = (name: string, answer: () => bigint) => (): bigint => {
    assert.deepEqual([emulator.registers[RDI], emulator.registers[RSI]], [FIRST, SECOND]);
    bench.log.push(name);
    return answer();
  };
  emulator.externals.set(
    CALLEE_AT,
    checked('callee', () => callees.callee(bench)),
  );
  emulator.externals.set(
    BRACKET_AT,
    checked('bracket', () => callees.bracket?.() ?? 0n),
  );
  const block = { [TIME_LOOP.callee]: CALLEE_AT, [TIME_LOOP.first]: FIRST, [TIME_LOOP.second]: SECOND };
  for (const [at, value] of Object.entries({ ...block, [TIME_LOOP.count]: BigInt(count) })) {
    bench.words.set(BLOCK_AT + BigInt(at), value);
  }
  if (symbol === 'kvmclock_warp_loop') bench.words.set(BLOCK_AT + BigInt(WARP_LOOP.shared), SHARED_AT);
  if (symbol === 'kvmclock_bracket_loop') bench.words.set(BLOCK_AT + BigInt(BRACKET_LOOP.bracket), BRACKET_AT);
  emulator.call(symbol, BLOCK_AT);
  return { word: (offset) => bench.words.get(BLOCK_AT + BigInt(offset)) ?? 0n, bench };
}

const reading = fc.oneof({ weight: 8, arbitrary: fc.bigInt({ min: 0n, max: 9n }) }, fc.constant((1n << 63n) + 5n));

/** One round of the warp loop: what the reader answers, and what another vCPU leaves in the shared word meanwhile. */
interface Round {
  readonly ns: bigint;
  readonly other: bigint | undefined;
}

const rounds: Arbitrary<Round[]> = fc.array(
  fc.record({
    ns: fc.oneof({ weight: 8, arbitrary: reading }, fc.constant(UNSTABLE)),
    other: fc.option(reading, { nil: undefined }),
  }),
  { minLength: 1, maxLength: 12 },
);

function warpModel(all: readonly Round[]) {
  const counted = { reads: 0n, warps: 0n, worstNs: 0n, stalls: 0n, shared: 0n };
  for (const { ns, other } of all) {
    const seen = counted.shared;
    if (other !== undefined) counted.shared = other;
    if (ns === UNSTABLE) break;
    counted.reads++;
    if (ns < seen) {
      counted.warps++;
      if (seen - ns > counted.worstNs) counted.worstNs = seen - ns;
    } else if (ns === seen) counted.stalls++;
    else if (counted.shared === seen) counted.shared = ns;
  }
  return counted;
}

function warpEmitted(all: readonly Round[], instructions: Instructions) {
  let next = 0;
  const callee = (bench: Bench): bigint => {
    const { ns, other } = all[next++]!;
    if (other !== undefined) bench.words.set(SHARED_AT, other);
    return ns;
  };
  const { word, bench } = run('kvmclock_warp_loop', all.length, { callee }, instructions);
  const { reads, warps, worstNs, stalls } = WARP_LOOP;
  const shared = bench.words.get(SHARED_AT) ?? 0n;
  return { reads: word(reads), warps: word(warps), worstNs: word(worstNs), stalls: word(stalls), shared };
}

/** Of each round the bracket's two readings and the one between them. */
const brackets = fc.array(fc.tuple(reading, reading, reading), { minLength: 1, maxLength: 8 });
type Brackets = readonly (readonly [before: bigint, ns: bigint, after: bigint])[];

function bracketModel(all: Brackets) {
  const away = all.map(([before, ns, after]) => (ns < before ? before - ns : ns > after ? ns - after : 0n));
  const outside = away.filter((by) => by > 0n);
  return { outside: BigInt(outside.length), worstNs: outside.reduce((worst, by) => (by > worst ? by : worst), 0n) };
}

function bracketEmitted(all: Brackets, instructions: Instructions) {
  const [around, between] = [all.flatMap(([before, , after]) => [before, after]), all.map(([, ns]) => ns)];
  const callees = { callee: () => between.shift()!, bracket: () => around.shift()! };
  const { word } = run('kvmclock_bracket_loop', all.length, callees, instructions);
  return { outside: word(BRACKET_LOOP.outside), worstNs: word(BRACKET_LOOP.worstNs) };
}

function timeEmitted(count: number, instructions: Instructions) {
  const { word, bench } = run('kvmclock_time_loop', count, { callee: () => 7n }, instructions);
  return { cycles: word(TIME_LOOP.cycles), log: bench.log };
}

function timeModel(count: number) {
  const calls = Array.from({ length: count }, () => 'callee');
  return { cycles: 100n, log: ['tsc ordered', 'fence', ...calls, 'tsc ordered', 'fence'] };
}

const loops = {
  kvmclock_time_loop: { inputs: fc.integer({ min: 1, max: 9 }), emitted: timeEmitted, model: timeModel },
  kvmclock_warp_loop: { inputs: rounds, emitted: warpEmitted, model: warpModel },
  kvmclock_bracket_loop: { inputs: brackets, emitted: bracketEmitted, model: bracketModel },
};

function holdLoop<T>(
  symbol: string,
  loop: { inputs: Arbitrary<T>; emitted(input: T, instructions: Instructions): unknown; model(input: T): unknown },
): void {
  test(`${symbol}() counts what its model counts`, () => {
    const same = (input: T) => assert.deepEqual(loop.emitted(input, INSTRUCTIONS), loop.model(input));
    fc.assert(fc.property(loop.inputs, same), { numRuns: 1000 });
  });

  test(`the comparison of ${symbol}() fails for want of any one instruction, and for any jump turned round`, () => {
    const inputs = fc.sample(loop.inputs, { numRuns: 300, seed: 64 });
    const seen = (instructions: Instructions) =>
      inputs.some((input) => differs(() => loop.emitted(input, instructions), loop.model(input)));
    assert.deepEqual(unmissedIn(IMAGE, symbol, seen), []);
  });
}

describe('the measuring loops', () => {
  test('the words of a block follow one another and fill it', () => {
    for (const [block, bytes] of [
      [TIME_LOOP, TIME_LOOP_BYTES],
      [WARP_LOOP, WARP_LOOP_BYTES],
      [BRACKET_LOOP, BRACKET_LOOP_BYTES],
    ] as const) {
      const words = Object.values(block);
      assert.deepEqual(
        words,
        words.map((_, index) => 8 * index),
      );
      assert.equal(bytes, 8 * words.length);
    }
  });

  holdLoop('kvmclock_time_loop', loops.kvmclock_time_loop);
  holdLoop('kvmclock_warp_loop', loops.kvmclock_warp_loop);
  holdLoop('kvmclock_bracket_loop', loops.kvmclock_bracket_loop);
});

describe("the kernel's clock in the measuring image", () => {
  test('kvmclock_vdso_clock_gettime() calls what it is given with CLOCK_MONOTONIC and room for a timespec', () => {
    const emulator = new Emulator(IMAGE, new Bench(), INSTRUCTIONS);
    let room = 0n;
    emulator.externals.set(CALLEE_AT, ({ registers }) => {
      assert.equal(registers[RDI], 1n);
      room = registers[RSI]!;
      emulator.store(room, 64, 1n);
      emulator.store(room + 8n, 64, 2n);
      return 0n;
    });
    emulator.call('kvmclock_vdso_clock_gettime', CALLEE_AT);
    assert.notEqual(room, 0n);
  });

  test('kvmclock_syscall_clock_gettime() makes the system call', () => {
    const bench = new Bench();
    new Emulator(IMAGE, bench, INSTRUCTIONS).call('kvmclock_syscall_clock_gettime');
    assert.deepEqual(bench.log, ['syscall 228 clock 1']);
  });

  test('kvmclock_nothing() returns', () => {
    const bench = new Bench();
    new Emulator(IMAGE, bench, INSTRUCTIONS).call('kvmclock_nothing');
    assert.deepEqual(bench.log, []);
  });
});
