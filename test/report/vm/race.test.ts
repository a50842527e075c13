import assert from 'node:assert/strict';
import { PVCLOCK_TSC_STABLE_BIT, PVTI } from '../../../src/abi/pvti.ts';
import { Guest } from '../../../src/machine/kvm/guest.ts';
import { JUMP_NS, newLine, raceMany, readOn, settleRecords, UPDATES } from '../../../src/report/vm/race.ts';
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
      const { worstErrorNs } = report;
      if (update === 'set-clock') assert.ok(worstErrorNs > JUMP_NS / 2n && worstErrorNs <= JUMP_NS, `${worstErrorNs}`);
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
    assert.equal(report.worstErrorNs, 0);
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

kvmTest('readOn() says by how much a reading lies outside what the own record gives, ahead or behind', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 2 });
  guest.clock.set({ clock: 10n * JUMP_NS });
  await settleRecords(guest);
  const { view } = guest.vm.memory;
  const systemTime = guest.recordAt(0) + PVTI.systemTime;
  const own = view.getBigUint64(systemTime, true);
  const errorAt = async (ns: bigint) => {
    view.setBigUint64(systemTime, own + ns, true);
    const { errorNs, stale } = await readOn(guest, 1, 'landed', newLine(guest));
    assert.equal(stale, errorNs !== 0n);
    return errorNs!;
  };
  assert.equal(await errorAt(0n), 0n);
  const [ahead, behind] = [await errorAt(JUMP_NS), await errorAt(-JUMP_NS)];
  assert.ok(ahead <= JUMP_NS && ahead > JUMP_NS / 2n, `${ahead}`);
  assert.ok(behind >= -JUMP_NS && behind < -JUMP_NS / 2n, `${behind}`);
});

kvmTest(
  'settleRecords() throws where the records are not on one line, by either end of it, or not stable',
  async () => {
    using kvm = realKvm();
    await using guest = await Guest.create(kvm, { vcpus: 2 });
    await settleRecords(guest);
    const record = guest.record.bind(guest);
    for (const change of [{ tscTimestamp: 1n }, { systemTime: 1n }, { flags: 0 }]) {
      guest.record = (vcpu) => ({ ...record(vcpu), ...('flags' in change || vcpu === 1 ? change : {}) });
      await assert.rejects(settleRecords(guest), /not stable on one line here/);
    }
  },
);
