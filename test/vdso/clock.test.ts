import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Reader } from '../../src/guest/cpu.ts';
import { landed } from '../../src/guest/landed.ts';
import { relaxed } from '../../src/guest/relaxed.ts';
import { DATA } from '../../src/vdso/clock.ts';
import type { Emulator } from './emulator.ts';
import { type Held, hold, IMAGE, UNSTABLE, unmissed } from './hold.ts';
import { scripts } from './scripts.ts';
import { RECORDS_AT, type Script, type World } from './world.ts';

const RUNS = 2000;
const CLOCK_MONOTONIC_RAW = 4;
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const any = scripts({ strikes: true, kept: false });

/** What now() is: the reader's answer, or the kernel's clock with the offset where there is none. */
function now(world: World, script: Script, read: Reader): bigint {
  const ns = script.attached ? read(world.cpu, 0) : undefined;
  return ns ?? u64(world.kernelNs(CLOCK_MONOTONIC_RAW) + script.offset);
}

function heldNow(symbol: string, read: Reader, answer: 'u64' | 'double'): Held {
  return {
    symbol,
    scripts: any,
    calls: 2,
    emitted: (emulator) => {
      const ns = emulator.call(symbol);
      return answer === 'u64' ? ns : emulator.xmm0;
    },
    plain: (world, script) => () => {
      const ns = now(world, script, read);
      return answer === 'u64' ? ns : Number(ns);
    },
  };
}

/** The offset that an anchor leaves, or undefined where it leaves the one that there is. */
function anchored(world: World): bigint | undefined {
  for (;;) {
    const first = landed(world.cpu, 0);
    if (first === undefined || first === UNSTABLE) return undefined;
    const kernel = world.kernelNs(CLOCK_MONOTONIC_RAW);
    const second = landed(world.cpu, 0);
    if (second === undefined || second === UNSTABLE) return undefined;
    if (second >= first) return u64(first + (second - first) / 2n - kernel);
  }
}

/** What an anchor answers and leaves behind, as one number. */
const together = (returned: bigint, offset: bigint) => (returned << 64n) | offset;
const wordOf = (emulator: Emulator, at: number, bits: number) => emulator.load(emulator.dataAt + BigInt(at), bits);

const anchor: Held = {
  symbol: 'kvmclock_anchor',
  scripts: any,
  calls: 1,
  emitted: (emulator) => together(emulator.call('kvmclock_anchor'), wordOf(emulator, DATA.offset, 64)),
  plain: (world, { attached, offset }) => {
    return () => {
      const taken = attached ? anchored(world) : undefined;
      return taken === undefined ? together(0n, offset) : together(1n, taken);
    };
  },
};

const attach: Held = {
  symbol: 'kvmclock_attach',
  scripts: any,
  calls: 1,
  emitted: (emulator, { attached, hasRdtscp }) => {
    emulator.store(emulator.dataAt + BigInt(DATA.records), 64, 0x1234n);
    emulator.store(emulator.dataAt + BigInt(DATA.hasRdtscp), 8, hasRdtscp ? 0n : 1n);
    const returned = emulator.call('kvmclock_attach', attached ? RECORDS_AT : 0n);
    assert.equal(wordOf(emulator, DATA.records, 64), attached ? RECORDS_AT : 0n);
    assert.equal(wordOf(emulator, DATA.hasRdtscp, 8), hasRdtscp ? 1n : 0n);
    return together(returned, wordOf(emulator, DATA.offset, 64));
  },
  plain: (world, script) => () => {
    world.cpuid(0x8000_0001, 0);
    return anchor.plain(world, script)();
  },
};

function heldTsc(symbol: string, plain: (world: World) => bigint, more: Partial<Held> = {}): Held {
  const emitted = (emulator: Emulator) => emulator.call(symbol);
  return { symbol, scripts: any, calls: 2, emitted, plain: (world) => () => plain(world), ...more };
}

const held = [
  heldNow('kvmclock_now', landed, 'u64'),
  heldNow('kvmclock_now_ns', landed, 'double'),
  heldNow('kvmclock_now_relaxed', relaxed, 'u64'),
  heldNow('kvmclock_now_relaxed_ns', relaxed, 'double'),
  anchor,
  attach,
  heldTsc('kvmclock_rdtsc', ({ cpu }) => cpu.rdtsc()),
  heldTsc('kvmclock_rdtsc_lfence', ({ cpu }) => cpu.rdtscOrdered()),
  heldTsc('kvmclock_rdtsc_ordered', ({ cpu }) => cpu.rdtscOrdered()),
  heldTsc('kvmclock_rdtscp', ({ cpu }) => cpu.rdtscOrdered(), { scripts: any.filter(({ hasRdtscp }) => hasRdtscp) }),
  heldTsc('kvmclock_vcpu', ({ cpu }) => BigInt(cpu.vcpu())),
];

describe("the image's clock", () => {
  for (const each of held) {
    test(`${each.symbol}() answers and does what its plain form does`, () => hold(each, RUNS));

    test(`the comparison of ${each.symbol}() fails for want of any one instruction, and for any jump turned round`, () => {
      // PXOR only spares the processor a wait for what the register held.
      const spare = each.symbol.endsWith('_ns') ? ['without pxor xmm0, xmm0'] : [];
      assert.deepEqual(unmissed(each), spare);
    });
  }

  test('every function of the image is held to a plain form, here, in readers.test.ts or in clock-gettime.test.ts', () => {
    const readers = ['before', 'rfc', 'landed', 'cached', 'relaxed'].map((name) => `kvmclock_read_${name}`);
    const clocks = ['realtime', 'monotonic', 'boottime', 'monotonic_raw'].map((name) => `kvmclock_${name}`);
    const others = ['at', 'clock_gettime', 'attach_bases', 'counter', 'sample'].map((name) => `kvmclock_${name}`);
    const elsewhere = [...readers, ...clocks, ...clocks.map((name) => `${name}_ns`), ...others];
    const names = [...held.map(({ symbol }) => symbol), ...elsewhere];
    assert.deepEqual(names.sort(), IMAGE.symbols.map(({ name }) => name).sort());
  });
});
