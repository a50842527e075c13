import assert from 'node:assert/strict';
import { Guest } from '../../../src/machine/kvm/guest.ts';
import { benchGuest } from '../../../src/report/vm/bench.ts';
import { kvmTest, realKvm } from '../../machine/kvm/real-kvm.ts';

const EFFORT = { rounds: 3, warmUp: 1, calls: 20_000 };
const NAMES = ['before', 'rfc', 'landed', 'cached', 'relaxed', 'lfence-rdtsc', 'rdtsc', 'vcpu'];

for (const flavour of [undefined, 'kvmclock'] as const) {
  kvmTest(`benchGuest() times every reader on the record of ${flavour ?? 'KVM'}`, async () => {
    using kvm = realKvm();
    await using guest = await Guest.create(kvm, { vcpus: 1, flavour });
    guest.enableRecord(0);
    const rounds: number[] = [];
    const start = process.hrtime.bigint();
    const costs = await benchGuest(guest, EFFORT, (done, of) => rounds.push(done / of));
    const allNs = Number(process.hrtime.bigint() - start);
    assert.deepEqual(
      costs.map(({ name }) => name),
      NAMES,
    );
    for (const { ns } of costs) assert.ok(ns.min > 0 && ns.min <= ns.median && ns.median <= ns.max);
    const floor = costs.find(({ name }) => name === 'lfence-rdtsc')!.ns.median;
    for (const { name, ns, toFloor } of costs) assert.equal(toFloor, ns.median / floor, name);
    const leastNs = costs.reduce((sum, { ns }) => sum + ns.min, 0) * EFFORT.calls * EFFORT.rounds;
    assert.ok(leastNs < allNs, 'all loops lie in the time that they took');
    assert.deepEqual(rounds, [0.25, 0.5, 0.75, 1]);
  });
}

kvmTest('benchGuest() refuses a record that is not stable, as no reader would do its work', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 1 });
  await assert.rejects(benchGuest(guest, EFFORT), /the record is not stable here/);
});
