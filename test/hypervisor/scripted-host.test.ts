import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ScriptedHost } from '../../src/hypervisor/scripted-host.ts';

test('time passes by the cycle, with nothing lost between steps', () => {
  const steps = fc.array(fc.bigInt({ min: 0n, max: 10n ** 10n }), { maxLength: 50 });
  fc.assert(
    fc.property(fc.bigInt({ min: 1_000_000n, max: 5_000_000_000n }), steps, (tscHz, cycles) => {
      const host = new ScriptedHost({ tscHz });
      for (const step of cycles) host.advanceCycles(step);
      const all = cycles.reduce((sum, step) => sum + step, 0n);
      assert.equal(host.tsc(), all);
      assert.equal(host.ns(), (all * 1_000_000_000n) / tscHz);
    }),
  );
});

test('a clock that is slewed gains so many parts per billion', () => {
  const host = new ScriptedHost({ tscHz: 1_000_000_000n, slewPpb: 500_000n });
  host.advanceNs(1_000_000_000n);
  assert.equal(host.ns(), 1_000_500_000n);
  host.slew(-500_000n);
  host.advanceNs(1_000_000_000n);
  assert.equal(host.ns(), 2_000_000_000n);
});

test('a sample is there while the host keeps time by its TSC', () => {
  const host = new ScriptedHost({ tscHz: 1_000n, tsc: 1n, ns: 2n, realtimeNs: 3n });
  assert.deepEqual(host.sample(), { tsc: 1n, ns: 2n, realtimeNs: 3n });
  host.keepTimeByTsc(false);
  assert.equal(host.sample(), undefined);
});

test('sleep passes on every clock but the TSC', () => {
  const host = new ScriptedHost({ tscHz: 1_000n, tsc: 100n, ns: 2n, realtimeNs: 3n });
  host.sleep(1_000n, 5n);
  assert.deepEqual([host.tsc(), host.ns(), host.realtimeNs()], [5n, 1_002n, 1_003n]);
});
