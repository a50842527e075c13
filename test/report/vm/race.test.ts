import assert from 'node:assert/strict';
import { PVCLOCK_TSC_STABLE_BIT } from '../../../src/abi/pvti.ts';
import { raceMany, UPDATES } from '../../../src/report/vm/race.ts';
import { raceText } from '../../../src/report/vm/race-text.ts';
import { kvmTest, realKvm } from '../../machine/kvm/real-kvm.ts';

const RUNS = 50;
const PLAIN = { write() {}, isTerminal: false, colour: false };

for (const update of UPDATES) {
  kvmTest(
    `raceMany() finds vCPU 1 told and record 0 old in every run where KVM keeps the clock: ${update}`,
    async () => {
      using kvm = realKvm();
      const report = await raceMany(kvm, { update, runs: RUNS });
      assert.equal(report.stale, RUNS);
      const [stable, updated, told, reads, after] = report.steps.map(({ records }) => records);
      assert.deepEqual(reads![0], stable![0], 'record 0 has not moved');
      assert.deepEqual(reads, told);
      assert.notEqual(told![1]!.version, updated![1]!.version);
      assert.notEqual(after![0]!.version, reads![0]!.version);
      assert.match(raceText(report, [], PLAIN), /50 of 50 runs stale/);
    },
  );

  kvmTest(`raceMany() finds no stale reading where our hypervisor keeps the clock: ${update}`, async () => {
    using kvm = realKvm();
    const report = await raceMany(kvm, { update, runs: RUNS, flavour: 'kvmclock' });
    assert.equal(report.stale, 0);
    assert.match(raceText(report, [], PLAIN), /0 of 50 runs stale/);
    const told = report.steps[2]!.records;
    const stable = update === 'unstable' ? 0 : PVCLOCK_TSC_STABLE_BIT;
    assert.deepEqual(
      told.map(({ flags }) => flags),
      [stable, stable],
    );
  });

  kvmTest(`raceMany() finds the race again in our hypervisor's flavour of KVM: ${update}`, async () => {
    using kvm = realKvm();
    const report = await raceMany(kvm, { update, runs: 10, flavour: 'kvm' });
    assert.equal(report.stale, 10);
  });
}
