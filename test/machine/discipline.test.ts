import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CLOCK_MODE, type ClockBase } from '../../src/abi/clock-base.ts';
import { cyclesApart, timeAfter } from '../../src/guest/clock-base.ts';
import { Discipline, errorBoundNs, latestNs, POLICY, type Sample } from '../../src/machine/discipline.ts';
import { fromTimespec } from '../../src/scale/timespec.ts';

const SECOND = 1_000_000_000n;
const rates = fc.double({ min: 0.1, max: 100, noNaN: true }); // 10 GHz to 10 MHz
const sampleAt = (before: bigint, width: bigint, kernelNs: bigint): Sample => ({
  before,
  after: before + width,
  kernelNs,
});
const at = (base: ClockBase, cycles: bigint): bigint =>
  fromTimespec(timeAfter(base, cyclesApart(cycles, base.cycleLast)));

describe('Discipline', () => {
  test('next() begins where the sample is, within half its width, whatever the rate and the date', () => {
    const cycles = fc.bigInt({ min: 0n, max: 1n << 60n });
    const ns = fc.bigInt({ min: -(1n << 61n), max: 1n << 61n });
    fc.assert(
      fc.property(rates, cycles, fc.bigInt({ min: 1n, max: 1000n }), ns, (nsPerCycle, before, width, kernelNs) => {
        const sample = sampleAt(before, width, kernelNs);
        const base = new Discipline(CLOCK_MODE.TSC, nsPerCycle).next(sample, { cycles: sample.after });
        const apart = Math.abs(Number(at(base, base.cycleLast) - kernelNs));
        assert.ok(apart <= Number(width) * nsPerCycle + 1, `${apart}`);
        assert.ok(Number(base.errorNs) >= (Number(width) * nsPerCycle) / 2);
        assert.ok(base.mult > 2 ** 28 && base.mult < 2 ** 32 && base.shift <= 32, `${base.mult} by ${base.shift}`);
        assert.ok(base.shiftedNsec >= 0n && base.shiftedNsec < SECOND << BigInt(base.shift));
        const valid = Number(base.validCycles) * nsPerCycle;
        assert.ok(valid <= POLICY.validNs && valid > POLICY.validNs - 2 * nsPerCycle);
      }),
    );
  });

  test('next() goes on from the last line to the bit, and makes good what it is off by at its pace', () => {
    const discipline = new Discipline(CLOCK_MODE.TSC, 0.5);
    const first = discipline.next(sampleAt(1000n, 20n, 5n * SECOND), { cycles: 1100n });
    const cycles = first.cycleLast + first.validCycles;
    for (const offNs of [-1500n, -300n, 300n, 1500n]) {
      const sample = sampleAt(cycles - 120n, 20n, at(first, cycles - 110n) + offNs);
      const next = new Discipline(CLOCK_MODE.TSC, 0.5).next(sample, { cycles, last: first });
      assert.equal(at(next, cycles), at(first, cycles));
      const slewed = Number(at(next, cycles + next.validCycles) - at(next, cycles)) - POLICY.validNs;
      const wanted = (Number(offNs) * POLICY.validNs) / POLICY.slewNs;
      assert.ok(Math.abs(slewed - wanted) < 3, `${slewed} for ${wanted}`);
      const bound = Number(next.errorNs) - Math.abs(Number(offNs));
      assert.ok(bound >= 0 && bound < 20, `${bound}`);
    }
  });

  test('next() leaves the pace alone while the last line is within the sample', () => {
    const discipline = new Discipline(CLOCK_MODE.TSC, 0.5);
    const last = discipline.next(sampleAt(0n, 100n, SECOND), { cycles: 100n });
    const cycles = 1_000_100n;
    const sample = sampleAt(cycles - 100n, 100n, at(last, cycles - 50n) + 20n);
    assert.equal(discipline.next(sample, { cycles, last }).mult, last.mult);
  });

  test('next() learns the rate from two samples, and forgets it when that has changed', () => {
    const discipline = new Discipline(CLOCK_MODE.TSC, 0.5);
    let [cycles, kernelNs] = [0n, 1000n * SECOND];
    let last: ClockBase | undefined;
    const run = (ppm: number, ms: number) => {
      for (let half = 0; half < 2 * ms; half++) {
        cycles += 1_000_000n;
        kernelNs += BigInt(Math.round(500_000 * (1 + ppm * 1e-6)));
        last = discipline.next(sampleAt(cycles - 100n, 100n, kernelNs - 25n), { cycles, last });
      }
      return (discipline.nsPerCycle / 0.5 - 1) * 1e6;
    };
    assert.ok(Math.abs(run(40, 2000) - 40) < 0.2);
    assert.ok(Math.abs(run(-300, 40) + 300) < 6);
    assert.ok(Number(last!.errorNs) < 100);
  });

  test('next() does not take a step of the clock, or a counter that was set back, for a rate', () => {
    const discipline = new Discipline(CLOCK_MODE.TSC, 0.5);
    discipline.next(sampleAt(1n << 40n, 100n, SECOND), { cycles: (1n << 40n) + 100n });
    discipline.next(sampleAt(1n << 41n, 100n, 10_000_000n * SECOND), { cycles: (1n << 41n) + 100n });
    assert.equal(discipline.nsPerCycle, 0.5);
    discipline.next(sampleAt(100n, 100n, 10_000_001n * SECOND), { cycles: 200n });
    assert.equal(discipline.nsPerCycle, 0.5);
  });
});

test('errorBoundNs() grows with age up to the end of the validity, where latestNs() stands', () => {
  const base = new Discipline(CLOCK_MODE.PVCLOCK, 1).next(sampleAt(0n, 40n, SECOND), { cycles: 40n });
  const bound = (age: bigint) => errorBoundNs(base, base.cycleLast + age, 1);
  assert.equal(bound(0n), Number(base.errorNs));
  assert.equal(bound(-50n), Number(base.errorNs));
  assert.equal(bound(100_000n), Number(base.errorNs) + 100);
  assert.equal(bound(base.validCycles), Number(base.errorNs) + 500);
  assert.equal(bound(10n * base.validCycles), bound(base.validCycles));
  assert.equal(latestNs(base), at(base, base.cycleLast + base.validCycles));
});
