import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLAVOURS } from '../../src/hypervisor/flavours.ts';
import { COMPARED, randomHistory, replayRefreshes } from '../../src/report/refresh.ts';
import { refreshTable } from '../../src/report/refresh-text.ts';

const REFRESHES = 1000;
const DAY_NS = 86_400_000_000_000n;

test('randomHistory() is the same for the same seed, spans a day, and keeps to the rates it was asked for', () => {
  const history = randomHistory(7, REFRESHES, 'changing');
  assert.deepEqual(randomHistory(7, REFRESHES, 'changing'), history);
  assert.notDeepEqual(randomHistory(8, REFRESHES, 'changing'), history);
  const span = history.refreshes.reduce((sum, { afterNs }) => sum + afterNs, 0n);
  assert.ok(span <= DAY_NS && span > DAY_NS - 1_000_000n);
  const rates = history.refreshes.map(({ tscHz }) => tscHz);
  assert.ok(rates.every((hz) => hz >= 500_000_000n && hz <= 5_000_000_000n));
  assert.ok(new Set(rates).size > 900);
  const one = randomHistory(7, REFRESHES, 'one');
  assert.deepEqual([...new Set(one.refreshes.map(({ tscHz }) => tscHz))], [one.tscHz]);
});

for (const rates of ['one', 'changing'] as const) {
  test(`over 1,000 refreshes in a day, at ${rates} rate, ours never jumps by more than 1 ns nor steps back, and KVM does`, () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const history = randomHistory(seed, REFRESHES, rates);
      const ours = replayRefreshes(history, FLAVOURS.kvmclock);
      assert.equal(ours.refreshes, REFRESHES);
      assert.ok(ours.worstForwardNs <= 1n, `${ours.worstForwardNs} ns forward`);
      assert.equal(ours.worstBackNs, 0n);
      assert.equal(ours.stepsBack, 0);
      const kvm = replayRefreshes(history, FLAVOURS.kvm);
      assert.ok(kvm.stepsBack > REFRESHES / 2, `${kvm.stepsBack} steps back`);
      assert.ok(kvm.worstBackNs > 1000n, `${kvm.worstBackNs} ns back`);
      assert.ok(kvm.driftNs <= 0n && kvm.driftNs >= -1n, 'taken anew from the host each time');
    }
  });
}

test('ours with a base that is taken anew is caught', () => {
  const { kvmclock } = FLAVOURS;
  const broken = { ...kvmclock, policy: { ...kvmclock.policy, base: 'kvm' as const } };
  const jumps = replayRefreshes(randomHistory(1, REFRESHES, 'one'), broken);
  assert.ok(jumps.worstBackNs > 1n || jumps.worstForwardNs > 1n);
});

test('refreshTable() has a row for each, with what it found', () => {
  const output = { write() {}, isTerminal: false, colour: false };
  const rows = COMPARED.map((flavour) => replayRefreshes(randomHistory(1, 10, 'one'), flavour));
  const lines = refreshTable(rows, output).split('\n');
  assert.match(lines[0]!, /^clock +refreshes +worst jump forward +worst step back +steps back +against the host$/);
  assert.match(lines[1]!, /^kvm +10 +0 ns +[\d ]+ ns +10 /);
  assert.match(lines[2]!, /^kvmclock +10 +0 ns +0 ns +0 /);
});
