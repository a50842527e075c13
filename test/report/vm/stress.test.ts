import assert from 'node:assert/strict';
import { PVTI } from '../../../src/abi/pvti.ts';
import { Guest } from '../../../src/machine/kvm/guest.ts';
import { type StressOptions, type StressReport, stress } from '../../../src/report/vm/stress.ts';
import { kvmTest, realKvm } from '../../machine/kvm/real-kvm.ts';

/** A busy machine lets a host and two vCPUs meet less often: it is given more rounds, not less to show. */
const ROUND_SECONDS = 1;
const MOST_ROUNDS = 20;

/** Rounds added up, until there is `enough` to be seen, or no more patience. */
async function stressUntil(
  guest: Guest,
  reader: StressOptions['reader'],
  enough: (total: StressReport) => boolean,
): Promise<StressReport> {
  const start = performance.now();
  let total = await stress(guest, { reader, seconds: ROUND_SECONDS });
  const elapsed = (performance.now() - start) / 1000;
  assert.ok(total.seconds >= ROUND_SECONDS && total.seconds <= elapsed, `${total.seconds} s of ${elapsed} s`);
  for (let round = 1; round < MOST_ROUNDS && !enough(total); round++) {
    total = added(total, await stress(guest, { reader, seconds: ROUND_SECONDS }));
  }
  return total;
}

function added(a: StressReport, b: StressReport): StressReport {
  const names = Object.keys(a) as (keyof StressReport)[];
  return Object.fromEntries(
    names.map((name) => [name, name === 'worstWarpNs' ? Math.max(a[name], b[name]) : a[name] + b[name]]),
  ) as unknown as StressReport;
}

for (const reader of ['landed', 'cached', 'before'] as const) {
  kvmTest(`stress() finds nothing torn, stale or behind where our hypervisor keeps the clock: ${reader}`, async () => {
    using kvm = realKvm();
    await using guest = await Guest.create(kvm, { vcpus: 2, flavour: 'kvmclock' });
    const enough = ({ reads, updates, retries }: StressReport) => reads > 100_000 && updates > 500 && retries > 0;
    const total = await stressUntil(guest, reader, enough);
    const { torn, warps, stale, unstable } = total;
    assert.deepEqual({ torn, warps, stale, unstable }, { torn: 0, warps: 0, stale: 0, unstable: 0 });
    assert.ok(enough(total), `${total.reads} reads, ${total.updates} updates, ${total.retries} retries`);
  });
}

kvmTest('stress() finds records 0 stale, and nothing torn, where KVM keeps the clock', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 2 });
  const { torn, stale, retries } = await stressUntil(guest, 'landed', (total) => total.stale > 0 && total.retries > 0);
  assert.equal(torn, 0);
  assert.ok(stale > 0 && retries > 0, `${stale} stale, ${retries} retries`);
});

kvmTest('stress() catches a host that steps the clock back: warps', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 2 });
  guest.clock.refresh = () => guest.clock.set({ clock: guest.clock.get().clock - 1_000n });
  const { warps, worstWarpNs } = await stressUntil(guest, 'landed', (total) => total.worstWarpNs > 1_000);
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
  const { torn } = await stressUntil(guest, 'landed', (total) => total.torn > 0);
  assert.ok(torn > 0);
});

kvmTest('stress() counts what a reader refuses where record 0 is not stable, and takes it for no time', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 2 });
  const { view } = guest.vm.memory;
  guest.clock.refresh = () => view.setUint8(guest.recordAt(0) + PVTI.flags, 0);
  const { unstable, warps, worstWarpNs } = await stressUntil(guest, 'landed', (total) => total.unstable > 0);
  assert.ok(unstable > 0);
  assert.deepEqual([warps, worstWarpNs], [0, 0]);
});
