import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ALLOWED_PPB, KernelPace, PACE_AT_MOST } from '../../src/machine/kernel-pace.ts';

const NOMINAL = 0.5;
/** Half a millisecond. */
const APART = 1_000_000n;
const UNSETTLED_PPB = 2 * PACE_AT_MOST * 1e9;

/** What a sample is off by more than the one before: it adds up to -30..30. */
const NOISE_NS = [30, -60, 55, -20, 25, -55, 25] as const;

/** A kernel's clock that is seen every half millisecond, each time to 30 ns unless told otherwise. */
function watched() {
  const pace = new KernelPace(NOMINAL);
  let [cycles, ns] = [1n << 40n, 5_000_000_000n];
  const see = (ppm: number, stepNs = 0n, halfNs = 30): number => {
    cycles += APART;
    ns += BigInt(Math.round(Number(APART) * NOMINAL * (1 + ppm * 1e-6))) + stepNs;
    return pace.see({ cycles, ns, halfNs });
  };
  const setBack = () => {
    cycles -= 1n << 39n;
  };
  const ppm = () => (pace.nsPerCycle / NOMINAL - 1) * 1e6;
  return { see, setBack, ppm };
}

describe('KernelPace', () => {
  test('see() allows for what the frequency of the clock may do, and knows its rate to 5 ppm after 12 ms', () => {
    const { see, ppm } = watched();
    for (let i = 0; i < 30; i++) assert.equal(see(40), ALLOWED_PPB);
    assert.ok(Math.abs(ppm() - 40) < 5, `${ppm()}`);
  });

  test('see() knows its rate better with time, though each sample is off by as much as it says', () => {
    const { see, ppm } = watched();
    for (let i = 0; i < 4000; i++) see(40, BigInt(NOISE_NS[i % NOISE_NS.length]!));
    assert.ok(Math.abs(ppm() - 40) < 0.2, `${ppm()}`);
  });

  test('see() knows nothing for one interval when the pace changes by a tenth, and the new pace when the next agrees', () => {
    const { see, ppm } = watched();
    for (let i = 0; i < 100; i++) see(0);
    for (const slew of [83_000, -100_000, 0]) {
      assert.equal(see(slew), UNSETTLED_PPB);
      const errorPpb = see(slew);
      assert.ok(errorPpb > ALLOWED_PPB && errorPpb < 1.2 * ALLOWED_PPB, `${errorPpb}`);
      assert.ok(Math.abs(ppm() - slew) < 120, `${ppm()} for ${slew}`);
      assert.equal(see(slew), ALLOWED_PPB);
    }
  });

  test('see() does not take a step for a pace, nor two of them, nor what no kernel can do', () => {
    const { see, ppm } = watched();
    for (let i = 0; i < 100; i++) see(0);
    for (const stepNs of [1_000_000n, -300_000n, 60n * 1_000_000_000n]) {
      assert.equal(see(0, stepNs), UNSETTLED_PPB);
      assert.equal(see(0), ALLOWED_PPB);
    }
    for (const impossible of [500_000, -500_000]) {
      for (let i = 0; i < 3; i++) assert.equal(see(impossible), UNSETTLED_PPB);
      assert.ok(Math.abs(ppm()) < 1, `${ppm()}`);
    }
  });

  test('see() adds what the samples leave open: to what two paces may differ by, and to what it allows for a new one', () => {
    const openPpb = 120_000; // two samples to 30 ns each, half a millisecond apart
    const { see } = watched();
    for (let i = 0; i < 100; i++) see(0);
    assert.equal(see(900), ALLOWED_PPB);
    for (let i = 0; i < 100; i++) see(0);
    assert.equal(see(83_000), UNSETTLED_PPB);
    const errorPpb = see(84_150); // 1062 ppm more
    assert.ok(errorPpb >= ALLOWED_PPB + openPpb && errorPpb <= ALLOWED_PPB + openPpb + 1, `${errorPpb}`);
  });

  test('see() does not take two equal steps for a pace where there was none in between', () => {
    const { see, ppm } = watched();
    for (let i = 0; i < 100; i++) see(0);
    for (let i = 0; i < 3; i++) {
      assert.equal(see(0, 40_000n), UNSETTLED_PPB);
      assert.equal(see(0), ALLOWED_PPB);
    }
    assert.ok(Math.abs(ppm()) < 1, `${ppm()}`);
  });

  test('see() does not take for a rate what is a step, though too small for the wide sample that it came with', () => {
    for (const stepNs of [40_000n, -40_000n]) {
      const { see, ppm } = watched();
      for (let i = 0; i < 30; i++) see(0);
      assert.equal(see(0, stepNs, 50_000), ALLOWED_PPB);
      for (let i = 0; i < 100; i++) {
        see(0);
        assert.ok(Math.abs(ppm()) < 5, `${ppm()} after ${stepNs}`);
      }
    }
  });

  test('see() begins anew where the counter was set back', () => {
    const { see, setBack, ppm } = watched();
    for (let i = 0; i < 100; i++) see(40);
    setBack();
    for (let i = 0; i < 100; i++) assert.equal(see(40), ALLOWED_PPB);
    assert.ok(Math.abs(ppm() - 40) < 5, `${ppm()}`);
  });
});
