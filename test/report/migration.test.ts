import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FLAVOURS } from '../../src/hypervisor/flavours.ts';
import { GAP_NS, GUEST_RATES, migrate, WAYS, type Way } from '../../src/report/migration.ts';
import { migrationText } from '../../src/report/migration-text.ts';

const MOVES = 200;
const wayOf = (name: string): Way => WAYS.find((way) => way.name === name)!;
const within = ({ leastNs, mostNs }: { leastNs: bigint; mostNs: bigint }, ns: bigint) => leastNs >= -ns && mostNs <= ns;

describe('a clock that is moved to a host of another TSC rate', () => {
  test('is at most 1 ns off by either of our ways, at once and a day later, at the first move and at a later one', () => {
    const ours = WAYS.filter(({ flavour }) => flavour === FLAVOURS.kvmclock);
    assert.equal(ours.length, 2);
    for (const way of ours) {
      for (const rate of GUEST_RATES) {
        for (const seed of [1, 2, 3]) {
          const { atOnce, aDayLater, migrations } = migrate(way, MOVES, rate, seed);
          assert.equal(migrations, MOVES);
          assert.ok(within(atOnce, 1n) && within(aDayLater, 1n), `${way.name}: ${aDayLater.leastNs}`);
        }
      }
    }
  });

  test("is off by the VMM's own time between its calls with GET_CLOCK and SET_CLOCK, and by nothing but rounding with KVM_CLOCK_REALTIME", () => {
    const plain = migrate(wayOf('GET_CLOCK, SET_CLOCK'), MOVES, 'of-the-host', 1);
    assert.ok(!within(plain.atOnce, 10_000n) && within(plain.atOnce, 100_000n));
    const realtime = migrate(wayOf('the same, KVM_CLOCK_REALTIME'), MOVES, 'of-the-host', 1);
    assert.ok(within(realtime.atOnce, 10n));
  });

  test("is off by milliseconds with KVM's calls where the guest's TSC was scaled: they go by the host's rate, its record by the guest's", () => {
    for (const way of WAYS.filter(({ flavour }) => flavour === FLAVOURS.kvm)) {
      assert.ok(!within(migrate(way, MOVES, 'of-another', 1).atOnce, 1_000_000n), way.name);
    }
  });

  test('finds the TSCs set to what they were, or as much further as its own way says that has passed', () => {
    for (const way of WAYS) {
      const onward: bigint[] = [];
      const watched: Way = {
        ...way,
        move(move) {
          const before = move.from.hypervisor.readTsc(0);
          way.move(move);
          onward.push(...[0, 1].map((vcpu) => move.to.hypervisor.readTsc(vcpu) - before));
        },
      };
      migrate(watched, 20, 'of-the-host', 1);
      const between = BigInt(2 * GAP_NS * 5); // cycles, at 5 GHz
      const stoodStill = onward.every((cycles) => cycles >= 0n && cycles <= between);
      assert.equal(stoodStill, way.name !== 'the same, KVM_CLOCK_REALTIME', `${way.name}: ${onward}`);
    }
  });

  test('is caught where the line is set before the TSC, or the line is two nanoseconds off', () => {
    const flavour = FLAVOURS.kvmclock;
    const tscLast: Way = {
      name: 'the TSC last',
      flavour,
      move({ from, to, away }) {
        const [line, tsc] = [from.hypervisor.getClockGuest(0), from.hypervisor.readTsc(0)];
        for (const vcpu of [0, 1]) to.hypervisor.writeTsc(vcpu, tsc + 1_000_000n);
        to.hypervisor.setClockGuest(0, line);
        away();
        for (const vcpu of [0, 1]) to.hypervisor.writeTsc(vcpu, tsc);
      },
    };
    assert.ok(!within(migrate(tscLast, 10, 'of-the-host', 1).atOnce, 1n));
    const late: Way = {
      name: 'two nanoseconds late',
      flavour,
      move({ from, to }) {
        for (const vcpu of [0, 1]) to.hypervisor.writeTsc(vcpu, from.hypervisor.readTsc(0));
        const line = from.hypervisor.getClockGuest(0);
        to.hypervisor.setClockGuest(0, { ...line, systemTime: line.systemTime + 2n });
      },
    };
    assert.ok(!within(migrate(late, 10, 'of-the-host', 1).atOnce, 1n));
  });
});

test('migrationText() has a row for each way and move, with what it found', () => {
  const output = { write() {}, isTerminal: false, colour: false };
  const errors = WAYS.flatMap((way) => GUEST_RATES.map((rate) => migrate(way, 10, rate, 1)));
  const lines = migrationText(errors, output).trimEnd().split('\n');
  assert.match(lines[0]!, /^10 VMs moved /);
  assert.equal(lines.length, 3 + 2 * WAYS.length);
  assert.match(lines[3]!, /^kvm +GET_CLOCK, SET_CLOCK +its first +-?[\d ]+ to [\d ]+ ns /);
  assert.match(lines.at(-1)!, /^kvmclock +GET_CLOCK_GUEST, SET_CLOCK_GUEST +a later one +0 to 0 ns +-1 to 0 ns$/);
});
