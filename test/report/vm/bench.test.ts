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
    const costs = await benchGuest(guest, EFFORT, (done, of) => rounds.push(done / of));
    assert.deepEqual(
      costs.map(({ name }) => name),
      NAMES,
    );
    for (const { ns } of costs) assert.ok(ns.min > 0 && ns.min <= ns.median && ns.median <= ns.max);
    assert.equal(costs.find(({ name }) => name === 'lfence-rdtsc')!.toFloor, 1);
    assert.deepEqual(rounds, [0.25, 0.5, 0.75, 1]);
  });
}

kvmTest('benchGuest() refuses a record that is not stable, as no reader would do its work', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 1 });
  await assert.rejects(benchGuest(guest, EFFORT), /the record is not stable here/);
});
