import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CachedLine, cached, emptyLine } from '../../src/guest/cached.ts';
import type { GuestCpu, Reader } from '../../src/guest/cpu.ts';
import { landed } from '../../src/guest/landed.ts';
import { READERS } from '../../src/guest/readers.ts';
import { cyclesToNs } from '../../src/guest/sequence.ts';
import { type Held, hold, UNSTABLE, unmissed } from './hold.ts';
import { scripts } from './scripts.ts';
import { LINE_AT, RECORDS_AT } from './world.ts';

const RUNS = 3000;

function heldReader(name: 'before' | 'rfc' | 'landed' | 'relaxed' | 'cached', more: Partial<Held> = {}): Held {
  return {
    symbol: `kvmclock_read_${name}`,
    scripts: scripts({ strikes: true, kept: false }),
    calls: 3,
    emitted: (emulator) => emulator.call(`kvmclock_read_${name}`, RECORDS_AT, LINE_AT),
    plain: (world) => {
      const read: Reader = READERS[name]();
      return () => read(world.cpu, 0) ?? UNSTABLE;
    },
    ...more,
  };
}

const readers = {
  before: heldReader('before'),
  rfc: heldReader('rfc'),
  landed: heldReader('landed'),
  relaxed: heldReader('relaxed'),
  cached: heldReader('cached', { scripts: scripts({ strikes: true, kept: true }) }),
};

const at: Held = {
  symbol: 'kvmclock_at',
  scripts: scripts({ strikes: true, kept: false }),
  calls: 1,
  emitted: (emulator, { tscs }) => emulator.call('kvmclock_at', RECORDS_AT, tscs[0]!),
  plain:
    (world, { tscs }) =>
    () =>
      cyclesToNs(world.cpu, 0, tscs[0]!),
};

const NOT_KEPT = new Error('a shift that the emitted cached() does not keep');

/** cached(), but a line whose shift is not in -31..0 is forgotten as soon as it is taken over, and landed() answers. */
function cachedOrLanded(cpu: GuestCpu, line: CachedLine): bigint | undefined {
  const relax = () => {
    if (line.version % 2 === 0 && (line.shift < -31 || line.shift > 0)) throw NOT_KEPT;
    cpu.relax();
  };
  try {
    return cached({ ...cpu, relax }, 0, line);
  } catch (error) {
    if (error !== NOT_KEPT) throw error;
    Object.assign(line, emptyLine());
    return landed(cpu, 0);
  }
}

const cachedAnyShift = heldReader('cached', {
  plain: (world) => {
    const line = emptyLine();
    return () => cachedOrLanded(world.cpu, line) ?? UNSTABLE;
  },
});

describe('the emitted readers', () => {
  for (const [name, held] of Object.entries({ ...readers, at })) {
    test(`${held.symbol}() gives the nanoseconds of ${name}() by the same accesses in the same order, whatever the hypervisor writes between them`, () =>
      hold(held, RUNS));
  }

  test('kvmclock_read_cached() gives the nanoseconds of cached() for shifts that it does not keep, too', () =>
    hold(heldReader('cached', { scripts: scripts({ strikes: false, kept: false }), ordered: false }), RUNS));

  test('kvmclock_read_cached() goes on as landed() does where it has met a shift that it does not keep', () =>
    hold(cachedAnyShift, RUNS));
});

describe('the comparison', () => {
  const { before, rfc, landed, relaxed } = readers;
  for (const held of [before, rfc, landed, relaxed, cachedAnyShift, at]) {
    test(`of ${held.symbol}() fails for want of any one instruction, and for any jump turned round`, () => {
      assert.deepEqual(unmissed(held), []);
    });
  }
});
