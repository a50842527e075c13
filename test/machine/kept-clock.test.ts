import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc, { type Arbitrary } from 'fast-check';
import { CLOCK_MODE } from '../../src/abi/clock-base.ts';
import { POLICY } from '../../src/machine/discipline.ts';
import { ALLOWED_PPB, KernelPace } from '../../src/machine/kernel-pace.ts';
import { CYCLES_PER_US, KeptOnSimulated } from './simulated-kernel.ts';

const SECOND = 1_000_000_000n;
const START = 1_700_000_000n * SECOND;
const NARROW = [[40n, 60n]] as const;
const us = (count: number): bigint => BigInt(count) * CYCLES_PER_US;

type Action =
  | { readonly kind: 'reads'; readonly count: number; readonly apart: bigint }
  | { readonly kind: 'slew'; readonly ppm: number }
  | { readonly kind: 'step'; readonly ns: bigint }
  | { readonly kind: 'stable'; readonly stable: boolean }
  | { readonly kind: 'held up'; readonly cycles: bigint }
  | { readonly kind: 'mode'; readonly mode: 1 | 2 };

const apart = fc.oneof(
  fc.bigInt({ min: 0n, max: us(1) }),
  fc.bigInt({ min: 0n, max: us(300) }),
  fc.bigInt({ min: 0n, max: us(3_000) }),
  fc.bigInt({ min: 0n, max: us(20_000_000) }),
);
const reads: Arbitrary<Action> = fc.record({
  kind: fc.constant('reads' as const),
  count: fc.integer({ min: 1, max: 60 }),
  apart,
});
const slews: Arbitrary<Action> = fc.record({
  kind: fc.constant('slew' as const),
  ppm: fc.double({ min: -450, max: 450, noNaN: true }),
});
const steps: Arbitrary<Action> = fc.record({
  kind: fc.constant('step' as const),
  ns: fc.oneof(
    fc.bigInt({ min: -(10n ** 6n), max: 10n ** 6n }),
    fc.bigInt({ min: -3600n * SECOND, max: 3600n * SECOND }),
  ),
});
const others: Arbitrary<Action> = fc.oneof(
  fc.record({ kind: fc.constant('stable' as const), stable: fc.boolean() }),
  fc.record({ kind: fc.constant('held up' as const), cycles: fc.bigInt({ min: 0n, max: us(20_000) }) }),
  fc.record({ kind: fc.constant('mode' as const), mode: fc.constantFrom(CLOCK_MODE.TSC, CLOCK_MODE.PVCLOCK) }),
);
/** Mostly narrow, now and then the machine is busy with something else in between. */
const sides = fc.array(
  fc.tuple(
    fc.oneof({ weight: 5, arbitrary: fc.bigInt({ min: 20n, max: 80n }) }, fc.bigInt({ min: 0n, max: us(50) })),
    fc.oneof({ weight: 5, arbitrary: fc.bigInt({ min: 20n, max: 80n }) }, fc.bigInt({ min: 0n, max: us(50) })),
  ),
  { minLength: 1, maxLength: 12 },
);

interface Seen {
  readonly before: bigint;
  readonly ns: bigint;
  readonly after: bigint;
  readonly boundNs: number;
  /** Since the clock was stepped last. */
  readonly sinceStepNs: bigint;
}

/** Plays a history; `see` is told of every reading. */
function play(machine: KeptOnSimulated, actions: readonly Action[], see: (seen: Seen) => void): void {
  const { kernel, clock } = machine;
  const { world } = kernel;
  let steppedAt = world.tsc;
  for (const action of actions) {
    if (action.kind === 'slew') kernel.slew(action.ppm);
    else if (action.kind === 'stable') machine.isStable = action.stable;
    else if (action.kind === 'mode') machine.mode = action.mode;
    else if (action.kind === 'held up') machine.holdUps.push(action.cycles);
    else if (action.kind === 'step') {
      kernel.step(action.ns);
      steppedAt = world.tsc;
    } else {
      for (let i = 0; i < action.count; i++) {
        world.tsc += action.apart;
        const before = kernel.ns();
        const sinceStepNs = ((world.tsc - steppedAt) * 1000n) / CYCLES_PER_US;
        const ns = machine.read();
        see({ before, ns, after: kernel.ns(), boundNs: clock.errorBoundNs(), sinceStepNs });
      }
    }
  }
}

type Settle = (machine: KeptOnSimulated) => void;
const asItIs: Settle = () => {};

const nominal = fc.integer({ min: -200, max: 200 });

function checkBound(breakIt: Settle): void {
  const actions = fc.array(fc.oneof({ weight: 6, arbitrary: reads }, { weight: 2, arbitrary: slews }, others), {
    minLength: 1,
    maxLength: 20,
  });
  fc.assert(
    fc.property(actions, sides, nominal, (history, widths, ppm) => {
      const machine = new KeptOnSimulated(START, ppm, widths);
      breakIt(machine);
      play(machine, history, ({ before, ns, after, boundNs }) => {
        const bound = BigInt(Math.ceil(boundNs));
        assert.ok(ns >= before - bound && ns <= after + bound, `${before} - ${bound} <= ${ns} <= ${after} + ${bound}`);
      });
    }),
    { numRuns: 300 },
  );
}

function checkNeverBack(breakIt: Settle): void {
  const any = fc.oneof({ weight: 4, arbitrary: reads }, slews, steps, others);
  fc.assert(
    fc.property(fc.array(any, { minLength: 1, maxLength: 25 }), sides, nominal, (history, widths, ppm) => {
      const machine = new KeptOnSimulated(START, ppm, widths);
      breakIt(machine);
      let last = 0n;
      play(machine, history, ({ ns }) => {
        assert.ok(ns >= last, `${ns} after ${last}`);
        last = ns;
      });
    }),
    { numRuns: 500 },
  );
}

describe('a kept clock', () => {
  test('every reading lies within its bound of the kernel, however the kernel slews and however wide the samples are', () =>
    checkBound(asItIs));

  test('that check catches a clock whose bound does not grow with age, and one whose lines do not know their samples', () => {
    const young: Settle = ({ clock }) => {
      const bound = clock.errorBoundNs.bind(clock);
      clock.errorBoundNs = () => Math.min(bound(), 60);
    };
    const late: Settle = ({ kernel: { world }, clock }) => {
      const settle = clock.settle.bind(clock);
      clock.settle = (ns) => {
        const settled = settle(ns);
        world.tsc += us(40); // the reading is handed out later than it was made
        return settled + 39_000n + 2_000n;
      };
    };
    for (const broken of [young, late]) assert.throws(() => checkBound(broken));
  });

  test('no reading is behind an earlier one, whatever becomes of the kernel, the counter and the clocksource', () =>
    checkNeverBack(asItIs));

  test("that check catches a clock that hands out the kernel's answers as they are", () => {
    const naive: Settle = (machine) => {
      machine.clock.settle = () => machine.kernel.ns();
    };
    assert.throws(() => checkNeverBack(naive));
  });

  test('a clock that is read often asks the kernel once a base, and one that is read now and then makes none', () => {
    const often = new KeptOnSimulated(START, 0, NARROW);
    play(often, [{ kind: 'reads', count: 5000, apart: us(1) }], () => {});
    const bases = 5_000_000 / POLICY.validNs;
    assert.ok(often.asks <= bases + 4, `${often.asks} for ${bases} bases`);
    assert.ok(often.samples <= 2 * (bases + 4));
    const seldom = new KeptOnSimulated(START, 0, NARROW);
    play(seldom, [{ kind: 'reads', count: 50, apart: us(10_000) }], () => {});
    assert.deepEqual([seldom.asks, seldom.samples], [50, 0]);
  });

  test('a clock that is read often is within 50 ns of the kernel, and within a microsecond while the kernel changes its rate', () => {
    const machine = new KeptOnSimulated(START, 30, NARROW);
    const read: Action[] = [{ kind: 'reads', count: 2_000, apart: us(20) }];
    const within = (bound: number, apart: bigint) => (seen: Seen) => {
      assert.ok(seen.boundNs < bound, `bound ${seen.boundNs}`);
      assert.ok(seen.ns > seen.before - apart && seen.ns < seen.after + apart, `${seen.ns} at ${seen.before}`);
    };
    play(machine, read, () => {});
    for (const ppm of [300, -200, 0]) {
      play(machine, [{ kind: 'slew', ppm }, ...read], within(1_700, 1_100n));
      play(machine, read, within(700, 50n));
    }
  });

  test('a clock whose samples have become wide, or were set back in their middle, takes the narrowest of several', () => {
    const sides = [
      [40n, 60n],
      ...[us(9), us(3), -us(20), us(8), us(20), us(7), us(1), us(6)].map((side) => [side, side]),
    ];
    const machine = new KeptOnSimulated(START, 0, sides as [bigint, bigint][]);
    play(machine, [{ kind: 'reads', count: 800, apart: us(1) }], () => {});
    assert.equal(machine.samples, sides.length); // the first base, and the second
    const boundNs = machine.clock.errorBoundNs();
    assert.ok(boundNs > 1_000 && boundNs < 3_000, `${boundNs}`);
  });

  /** Slewed by as much as can be: true bounds again from the third base on, and below a microsecond in the end. */
  function checkFollowed(): void {
    const machine = new KeptOnSimulated(START, 30, NARROW);
    const { world } = machine.kernel;
    const read: Action[] = [{ kind: 'reads', count: 3_000, apart: us(5) }];
    play(machine, read, () => {});
    for (const ppm of [83_000, 0, -100_000, 100_000, -2_500, 1_200, 0]) {
      machine.kernel.slew(ppm);
      const slewedAt = world.tsc;
      let [settled, latestNs] = [0, 0n];
      play(machine, read, ({ before, ns, after, boundNs }) => {
        assert.ok(ns >= latestNs, `${ns} after ${latestNs}`);
        latestNs = ns;
        if (world.tsc - slewedAt < us(1_600)) return;
        const bound = BigInt(Math.ceil(boundNs));
        assert.ok(ns >= before - bound && ns <= after + bound, `${ppm} ppm: ${ns - before} by ${bound}`);
        settled++;
      });
      assert.ok(settled > 2_000);
      const boundNs = machine.clock.errorBoundNs();
      assert.ok(boundNs < 1_000, `${ppm} ppm: bound ${boundNs}`);
    }
  }

  test('a kernel that goes up to a tenth faster or slower is followed from the third base on, with a true bound', () =>
    checkFollowed());

  test('that check catches a clock that does not watch the pace between one sample and the next', (t) => {
    t.mock.method(KernelPace.prototype, 'see', () => ALLOWED_PPB);
    assert.throws(checkFollowed, / ppm: /);
  });

  test('a base that the thread was held up over is made anew', () => {
    const machine = new KeptOnSimulated(START, 0, NARROW);
    play(machine, [{ kind: 'reads', count: 1000, apart: us(1) }], () => {});
    const { samples } = machine;
    machine.holdUps.push(us(10_000));
    const { world } = machine.kernel;
    world.tsc += us(600);
    machine.read();
    assert.equal(machine.samples, samples + 2);
    const bound = machine.clock.errorBoundNs();
    assert.ok(bound < 100, `bound ${bound}`);
  });

  test('a clock that is set forward is followed at the next base', () => {
    const machine = new KeptOnSimulated(START, 0, NARROW);
    play(
      machine,
      [
        { kind: 'reads', count: 3000, apart: us(1) },
        { kind: 'step', ns: SECOND },
      ],
      () => {},
    );
    play(machine, [{ kind: 'reads', count: 3000, apart: us(1) }], ({ before, ns, sinceStepNs }) => {
      if (sinceStepNs > BigInt(POLICY.validNs) + 2_000n) assert.ok(ns >= before - 100n);
    });
  });

  for (const [often, gap] of [
    ['often', us(5)],
    ['now and then', us(40_000)],
  ] as const) {
    test(`a clock that was set back goes at half speed until it has been caught up with, where it is read ${often}`, () => {
      const machine = new KeptOnSimulated(START, 0, NARROW);
      const count = Number((2n * CYCLES_PER_US * 400_000n) / gap);
      play(
        machine,
        [
          { kind: 'reads', count: 100, apart: us(1) },
          { kind: 'step', ns: -200_000_000n },
        ],
        () => {},
      );
      let [first, last]: (Seen | undefined)[] = [];
      play(machine, [{ kind: 'reads', count: Math.floor(count / 4), apart: gap }], (seen) => {
        first ??= seen;
        last = seen;
        if (seen.sinceStepNs <= BigInt(POLICY.validNs) + 2_000n) return;
        const bound = BigInt(Math.ceil(seen.boundNs));
        assert.ok(seen.ns >= seen.before - bound && seen.ns <= seen.after + bound, 'its bound says so');
      });
      const [passed, shown] = [last!.after - first!.after, last!.ns - first!.ns];
      assert.ok(shown > (passed * 45n) / 100n && shown < (passed * 55n) / 100n, `${shown} of ${passed}`);
      play(machine, [{ kind: 'reads', count, apart: gap }], (seen) => {
        last = seen;
      });
      assert.ok(last!.ns >= last!.before - 100n && last!.ns <= last!.after + 100n, 'and arrives');
    });
  }

  test('a clock whose counter cannot be read is the kernel itself', () => {
    const machine = new KeptOnSimulated(START, 0, NARROW);
    machine.mode = CLOCK_MODE.PVCLOCK;
    machine.isStable = false;
    play(machine, [{ kind: 'reads', count: 1000, apart: us(1) }], ({ before, ns, after, boundNs }) => {
      assert.ok(ns >= before && ns <= after);
      assert.equal(boundNs, 0);
    });
  });

  test("a clock whose counter is lost or set back while a base is made gives the kernel's own answer, and goes on", () => {
    for (const lose of [us(-5_000), 'unreadable'] as const) {
      const machine = new KeptOnSimulated(START, 0, NARROW);
      machine.mode = CLOCK_MODE.PVCLOCK;
      const read: Action[] = [{ kind: 'reads', count: 3000, apart: us(1) }];
      play(machine, read, () => {});
      const { kernel } = machine;
      kernel.world.tsc += us(600);
      machine.holdUps.push(lose);
      const before = kernel.ns();
      const ns = machine.read();
      assert.ok(ns >= before && ns < before + 1_000n, `${lose}: ${ns - before}`);
      assert.equal(machine.clock.errorBoundNs(), 0);
      machine.isStable = true;
      if (kernel.ns() < before) kernel.step(ns + SECOND - kernel.ns());
      play(machine, read, (seen) => assert.ok(seen.ns >= seen.before - 600n && seen.ns <= seen.after + 600n));
    }
  });

  test('errorBoundNs() is that of the oldest reading of its base while the counter cannot be read', () => {
    const machine = new KeptOnSimulated(START, 0, NARROW);
    machine.mode = CLOCK_MODE.PVCLOCK;
    play(machine, [{ kind: 'reads', count: 3000, apart: us(1) }], () => {});
    machine.isStable = false;
    const bound = machine.clock.errorBoundNs();
    machine.isStable = true;
    assert.ok(bound > machine.clock.errorBoundNs());
    machine.kernel.world.tsc += us(10_000);
    assert.equal(bound, machine.clock.errorBoundNs());
  });

  test('a clock goes on when the counter was set back, as when the machine was suspended', () => {
    const machine = new KeptOnSimulated(START, 0, NARROW);
    play(machine, [{ kind: 'reads', count: 3000, apart: us(1) }], () => {});
    const { kernel } = machine;
    const shown = kernel.ns();
    kernel.world.tsc -= 4_900_000_000n;
    kernel.step(shown + SECOND - kernel.ns());
    play(machine, [{ kind: 'reads', count: 3000, apart: us(1) }], ({ before, ns, after }) => {
      assert.ok(ns >= before - 600n && ns <= after + 600n);
    });
  });
});
