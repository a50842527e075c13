import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc, { type Arbitrary } from 'fast-check';
import { clockGettime, readClock } from '../../src/guest/clock-gettime.ts';
import { landed } from '../../src/guest/landed.ts';
import { fromTimespec } from '../../src/scale/timespec.ts';
import { DATA } from '../../src/vdso/clock.ts';
import { SAMPLE } from '../../src/vdso/sample.ts';
import {
  ASKED_AT,
  BASES_AT,
  type ClockScript,
  ClockWorld,
  clockScripts,
  KERNEL_AT,
  OWN_AT,
  PAGE,
  RECORDS_AT,
  Stuck,
} from './clock-world.ts';
import { Emulator, load } from './emulator.ts';
import { type Answer, differs, IMAGE, type Instructions, UNSTABLE, unmissedIn } from './hold.ts';
import { POISON } from './semantics.ts';

const INSTRUCTIONS = load(IMAGE);
const RUNS = 2000;
const SAMPLES = 5000;
const SEED = 20151210;
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const s64 = (value: bigint): bigint => BigInt.asIntN(64, value);

/** One function both ways: what it answers, and what it leaves in its caller's memory. */
interface HeldClock {
  readonly symbol: string;
  readonly scripts: Arbitrary<ClockScript>;
  emitted(emulator: Emulator, world: ClockWorld, script: ClockScript): readonly Answer[];
  plain(world: ClockWorld, script: ClockScript): readonly Answer[];
}

interface Played {
  readonly answer: readonly Answer[] | 'stuck';
  readonly log: readonly string[];
  readonly asked: bigint;
}

function play(world: ClockWorld, script: ClockScript, call: () => readonly Answer[], asked: () => bigint): Played {
  let answer: readonly Answer[] | 'stuck' = 'stuck';
  try {
    answer = call();
  } catch (error) {
    if (!(error instanceof Stuck)) throw error;
  }
  return { answer, log: world.log, asked: script.attached.asked ? asked() : 0n };
}

function playPlain(held: HeldClock, script: ClockScript): Played {
  const world = new ClockWorld(script);
  const asked = () => (world.log.some((operation) => operation.startsWith('kernel')) && tells(held) ? 1n : 0n);
  return play(world, script, () => held.plain(world, script), asked);
}

const tells = ({ symbol }: HeldClock) => symbol !== 'kvmclock_sample';

function playEmitted(held: HeldClock, script: ClockScript, instructions: Instructions): Played {
  const { attached } = script;
  const world = new ClockWorld(script);
  const emulator = new Emulator(IMAGE, world, instructions);
  emulator.externals.set(KERNEL_AT, () => world.clockGettime(emulator));
  const put = (at: number, bits: number, value: bigint) => emulator.store(emulator.dataAt + BigInt(at), bits, value);
  put(DATA.hasRdtscp, 8, script.hasRdtscp ? 1n : 0n);
  put(DATA.records, 64, attached.records ? RECORDS_AT : 0n);
  put(DATA.bases, 64, attached.bases ? BASES_AT : 0n);
  put(DATA.asked, 64, attached.asked ? ASKED_AT : 0n);
  put(DATA.kernel, 64, attached.function ? KERNEL_AT : 0n);
  return play(
    world,
    script,
    () => held.emitted(emulator, world, script),
    () => world.asked,
  );
}

function hold(held: HeldClock): void {
  const same = (script: ClockScript) =>
    assert.deepEqual(playEmitted(held, script, INSTRUCTIONS), playPlain(held, script));
  fc.assert(fc.property(held.scripts, same), { numRuns: RUNS });
}

/** The plain page as it is attached: where no record is, the reader has no answer. */
const pageOf = ({ attached }: ClockScript) => (attached.records ? PAGE : { ...PAGE, read: () => undefined });

function read({ cpu }: ClockWorld, script: ClockScript) {
  return script.attached.bases ? readClock(cpu, pageOf(script), script.clock) : undefined;
}

function plainNs(world: ClockWorld, script: ClockScript): bigint {
  const reading = read(world, script);
  if (reading !== undefined && !reading.old) return u64(fromTimespec(reading));
  const kernel = world.kernel(script.clock);
  assert.notEqual(typeof kernel, 'number');
  const ns = s64(fromTimespec(kernel as Exclude<typeof kernel, number>));
  const latest = reading === undefined ? ns : s64(fromTimespec(reading));
  return u64(ns < latest ? latest : ns);
}

function fast(name: string, clock: number): HeldClock[] {
  const scripts = clockScripts([clock], []);
  return [
    {
      symbol: `kvmclock_${name}`,
      scripts,
      emitted: (emulator) => [emulator.call(`kvmclock_${name}`)],
      plain: (world, script) => [plainNs(world, script)],
    },
    {
      symbol: `kvmclock_${name}_ns`,
      scripts,
      emitted: (emulator) => {
        emulator.call(`kvmclock_${name}_ns`);
        return [emulator.xmm0];
      },
      plain: (world, script) => [Number(plainNs(world, script))],
    },
  ];
}

const CLOCKS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const ownWord = (world: ClockWorld, at: number): bigint => world.own.getBigUint64(at, true);

const gettime: HeldClock = {
  symbol: 'kvmclock_clock_gettime',
  scripts: clockScripts([...CLOCKS, ...CLOCKS, 12, 64, 2 ** 31 - 1, -1, -(2 ** 31)], [-22, -14]),
  emitted: (emulator, world, { clock }) => {
    const argument = (POISON << 32n) | BigInt.asUintN(32, BigInt(clock)); // the high half is anything
    const result = Number(BigInt.asIntN(32, emulator.call('kvmclock_clock_gettime', u64(argument), OWN_AT)));
    return [result, ownWord(world, 0), ownWord(world, 8)];
  },
  plain: (world, script) => {
    const page = pageOf(script);
    const time = script.attached.bases
      ? clockGettime(world.cpu, page, script.clock, (clock) => world.kernel(clock))
      : world.kernel(script.clock);
    return typeof time === 'number'
      ? [time, ownWord(world, 0), ownWord(world, 8)]
      : [0, u64(time.sec), BigInt(time.nsec)];
  },
};

/** The counter of a mode, as a base of that mode would be read by. */
function counter({ cpu }: ClockWorld, { attached, base }: ClockScript): bigint {
  if (base.mode === 1) return cpu.rdtscOrdered();
  const ns = base.mode === 2 && attached.records ? landed(cpu, PAGE.records) : undefined;
  return ns ?? UNSTABLE;
}

const count: HeldClock = {
  symbol: 'kvmclock_counter',
  scripts: clockScripts([0], []),
  emitted: (emulator, _, { base }) => [emulator.call('kvmclock_counter', (POISON << 32n) | BigInt(base.mode))],
  plain: (world, script) => [counter(world, script)],
};

const sample: HeldClock = {
  symbol: 'kvmclock_sample',
  scripts: clockScripts([0, 7, 11], [-22]),
  emitted: (emulator, world, { base, clock }) => {
    world.own.setBigUint64(SAMPLE.mode, BigInt(base.mode), true);
    world.own.setBigUint64(SAMPLE.clock, BigInt(clock), true);
    const ok = emulator.call('kvmclock_sample', OWN_AT);
    const words = [SAMPLE.before, SAMPLE.sec, SAMPLE.nsec, SAMPLE.after].map((at) => ownWord(world, at));
    return ok === 1n ? words : [ok];
  },
  plain: (world, script) => {
    const before = counter(world, script);
    if (before === UNSTABLE) return [0n];
    const time = world.kernel(script.clock);
    if (typeof time === 'number') return [0n];
    const after = counter(world, script);
    return after === UNSTABLE ? [0n] : [before, u64(time.sec), BigInt(time.nsec), after];
  },
};

const attach: HeldClock = {
  symbol: 'kvmclock_attach_bases',
  scripts: clockScripts([0], []),
  emitted: (emulator) => {
    emulator.call('kvmclock_attach_bases', 1n, 2n, 3n);
    return [DATA.bases, DATA.asked, DATA.kernel].map((at) => emulator.load(emulator.dataAt + BigInt(at), 64));
  },
  plain: () => [1n, 2n, 3n],
};

const held = [
  ...[...fast('realtime', 0), ...fast('monotonic', 1), ...fast('boottime', 7), ...fast('monotonic_raw', 4)],
  ...[gettime, count, sample, attach],
];

describe("the image's clock_gettime", () => {
  for (const each of held) {
    test(`${each.symbol}() answers and does what its plain form does`, () => hold(each));
  }

  for (const each of [held[0]!, held[3]!, gettime, count, sample, attach]) {
    test(`the comparison of ${each.symbol}() fails for want of any one instruction, and for any jump turned round`, () => {
      const spare = each.symbol.endsWith('_ns') ? ['without pxor xmm0, xmm0'] : [];
      const scripts = fc.sample(each.scripts, { numRuns: SAMPLES, seed: SEED });
      const plain = scripts.map((script) => playPlain(each, script));
      const seen = (instructions: Instructions) =>
        scripts.some((script, index) => differs(() => playEmitted(each, script, instructions), plain[index]));
      assert.deepEqual(unmissedIn(IMAGE, each.symbol, seen), spare);
    });
  }
});
