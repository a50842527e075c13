import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { epochClock } from '../../src/machine/epoch.ts';

const SECOND = 1_000_000_000n;

/** A world with a clock that starts at 5 s and a wall clock, both moved by hand. */
function world(wallStart: bigint, errorNs = 0n) {
  const state = { now: 5n * SECOND, wall: wallStart };
  const epoch = epochClock(
    () => state.now,
    () => ({ ns: state.wall, errorNs }),
  );
  const pass = (ns: bigint, wallNs = ns) => {
    state.now += ns;
    state.wall += wallNs;
  };
  return { state, epoch, pass };
}

test('epochNow() follows wall time when nobody sets it', () => {
  const { state, epoch, pass } = world(1_700_000_000n * SECOND);
  for (let i = 0; i < 10; i++) {
    pass(SECOND / 3n);
    assert.equal(epoch.epochNow(), state.wall);
  }
});

test('epochNow() steps forward to wall time within a second when that was set ahead', () => {
  const { state, epoch, pass } = world(1_700_000_000n * SECOND);
  epoch.epochNow();
  pass(SECOND * 2n, SECOND * 3600n);
  assert.equal(epoch.epochNow(), state.wall);
});

test('epochNow() runs at half speed, and never back, when wall time was set back', () => {
  const { state, epoch, pass } = world(1_700_000_000n * SECOND);
  pass(SECOND / 2n);
  const before = epoch.epochNow();
  state.wall -= 4n * SECOND;
  pass(2n * SECOND);
  const held = epoch.epochNow();
  assert.ok(held >= before);
  let last = held;
  for (let i = 0; i < 20; i++) {
    pass(SECOND / 2n);
    const now = epoch.epochNow();
    assert.ok(now >= last, 'never back');
    assert.ok(now - last <= SECOND / 2n, 'no faster than the clock');
    last = now;
  }
  assert.equal(last, state.wall, 'and arrives');
});

test('epochNow() goes on by half of what passes, at every moment until it has been caught up with', () => {
  const { state, epoch, pass } = world(1_700_000_000n * SECOND);
  pass(2n * SECOND, -2n * SECOND);
  let last = epoch.epochNow();
  assert.equal(last - state.wall, 4n * SECOND);
  for (let i = 0; i < 80; i++) {
    pass(SECOND / 10n);
    assert.equal(epoch.epochNow() - last, SECOND / 20n);
    last += SECOND / 20n;
  }
  pass(SECOND / 10n);
  assert.equal(epoch.epochNow(), state.wall);
});

test('epochNow() reads the wall clock once a second, and at once where the clock was set back', () => {
  const state = { now: 5n * SECOND, readings: 0 };
  const wall = () => {
    state.readings++;
    return { ns: 1_700_000_000n * SECOND + state.now, errorNs: 0n };
  };
  const { epochNow } = epochClock(() => state.now, wall);
  for (let i = 0; i < 100; i++) {
    state.now += SECOND / 20n;
    epochNow();
  }
  assert.equal(state.readings, 5);
  const last = epochNow();
  state.now -= 2n * SECOND;
  assert.equal(epochNow(), last);
  assert.equal(state.readings, 6);
});

test('epochNow() never steps back whatever the wall clock does', () => {
  const step = fc.record({ pass: fc.bigInt(0n, 5n * SECOND), set: fc.bigInt(-10n * SECOND, 10n * SECOND) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const { state, epoch, pass } = world(1_700_000_000n * SECOND);
      let last = epoch.epochNow();
      for (const { pass: ns, set } of steps) {
        pass(ns);
        state.wall += set;
        const now = epoch.epochNow();
        if (now < last) return false;
        last = now;
      }
      return true;
    }),
  );
});

test('the same check catches an epoch clock that follows the wall clock back', () => {
  const { state, pass } = world(1_700_000_000n * SECOND);
  const naive = () => state.wall;
  const before = naive();
  pass(SECOND, -SECOND);
  assert.ok(naive() < before);
});

test('epochNow() leaves a coarse wall clock alone within its error', () => {
  const { state, epoch, pass } = world(1_700_000_000n * SECOND, 1_000_000n);
  epoch.epochNow();
  pass(2n * SECOND, 2n * SECOND - 900_000n);
  assert.equal(epoch.epochNow(), state.wall + 900_000n);
});

test('errorBoundNs() covers wall time while nobody sets it, and is honest once it was set back', () => {
  const { state, epoch, pass } = world(1_700_000_000n * SECOND, 1_000_000n);
  const apart = () => {
    const off = Number(epoch.epochNow() - state.wall);
    return { off: Math.abs(off), bound: epoch.errorBoundNs() };
  };
  assert.equal(apart().bound, 1_000_000);
  for (let i = 0; i < 20; i++) {
    pass(SECOND / 3n, SECOND / 3n + 300_000n);
    const { off, bound } = apart();
    assert.ok(off <= bound, `${off} of ${bound}`);
  }
  pass(2n * SECOND, -10n * SECOND);
  const { off, bound } = apart();
  assert.ok(off <= bound && bound > 11e9);
});

test("errorBoundNs() is the wall clock's error, what we are off by, what it took to read, and 1000 ppm of the age", () => {
  const state = { now: 5n * SECOND, wall: 1_700_000_000n * SECOND };
  const wall = () => {
    state.now += 3000n;
    return { ns: state.wall, errorNs: 1_000_000n };
  };
  const { epochNow, errorBoundNs } = epochClock(() => state.now, wall);
  const known = 1_000_000 + 3000;
  assert.equal(errorBoundNs(), known + 3);
  state.now += SECOND / 2n;
  assert.equal(errorBoundNs(), known + 3 + 500_000);
  for (const offNs of [900_000n, -800_000n]) {
    const from = state.now;
    state.wall = epochNow() + 2n * SECOND + offNs;
    state.now = from + 2n * SECOND;
    epochNow();
    assert.equal(errorBoundNs(), known + Math.abs(Number(offNs)) + 3);
  }
  state.now -= SECOND;
  assert.equal(errorBoundNs(), known + 800_000);
});

test('hrTime() splits at the second', () => {
  const { epoch } = world(1_700_000_000n * SECOND + 42n);
  assert.deepEqual(epoch.hrTime(), [1_700_000_000, 42]);
});
