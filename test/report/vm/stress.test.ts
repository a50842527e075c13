import assert from 'node:assert/strict';
import { PVTI } from '../../../src/abi/pvti.ts';
import { Guest } from '../../../src/machine/kvm/guest.ts';
import { stress } from '../../../src/report/vm/stress.ts';
import { kvmTest, realKvm } from '../../machine/kvm/real-kvm.ts';

const SECONDS = 1;

for (const reader of ['landed', 'cached', 'before'] as const) {
  kvmTest(`stress() finds nothing torn, stale or behind where our hypervisor keeps the clock: ${reader}`, async () => {
    using kvm = realKvm();
    await using guest = await Guest.create(kvm, { vcpus: 2, flavour: 'kvmclock' });
    const { reads, updates, retries, torn, warps, stale, unstable } = await stress(guest, { reader, seconds: SECONDS });
    assert.deepEqual({ torn, warps, stale, unstable }, { torn: 0, warps: 0, stale: 0, unstable: 0 });
    assert.ok(
      reads > 100_000 && updates > 500 && retries > 0,
      `${reads} reads, ${updates} updates, ${retries} retries`,
    );
  });
}

kvmTest('stress() finds records 0 stale, and nothing torn, where KVM keeps the clock', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 2 });
  const { torn, stale, retries } = await stress(guest, { reader: 'landed', seconds: SECONDS });
  assert.equal(torn, 0);
  assert.ok(stale > 0 && retries > 0, `${stale} stale, ${retries} retries`);
});

kvmTest('stress() catches a host that steps the clock back: warps', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 2 });
  guest.clock.refresh = () => guest.clock.set({ clock: guest.clock.get().clock - 1_000n });
  const { warps, worstWarpNs } = await stress(guest, { reader: 'landed', seconds: SECONDS });
  assert.ok(warps > 0 && worstWarpNs > 1_000, `${warps} warps, worst ${worstWarpNs} ns`);
});

kvmTest('stress() catches a writer without an odd phase: torn', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 2, flavour: 'kvmclock' });
  const { view } = guest.vm.memory;
  const pvti = guest.recordAt(0);
  let n = 0n;
  guest.clock.refresh = () => {
    n += 1n;
    view.setBigUint64(pvti + PVTI.systemTime, n, true); // body after body under one version
  };
  const { torn } = await stress(guest, { reader: 'landed', seconds: SECONDS });
  assert.ok(torn > 0);
});
