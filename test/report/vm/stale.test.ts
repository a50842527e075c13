import assert from 'node:assert/strict';
import { PLACES, staleTimes } from '../../../src/report/vm/stale.ts';
import { kvmTest, realKvm } from '../../machine/kvm/real-kvm.ts';

kvmTest('staleTimes() finds record 0 old to the end of the watch while vCPU 0 is halted or in user space', async () => {
  using kvm = realKvm();
  const times = await staleTimes(kvm);
  assert.deepEqual(
    times.map(({ vcpu0 }) => vcpu0),
    PLACES,
  );
  for (const { vcpu0, ended, runs, ns, watchedNs } of times) {
    if (vcpu0 === 'running' || vcpu0 === 'preempted') continue; // vCPU 0 may write it at any time
    assert.equal(ended, 0, vcpu0);
    assert.equal(runs, 5);
    assert.ok(ns.min >= watchedNs, vcpu0);
  }
});

kvmTest('staleTimes() finds record 0 new from the first moment where our hypervisor keeps the clock', async () => {
  using kvm = realKvm();
  for (const { vcpu0, ended, runs, ns } of await staleTimes(kvm, 'kvmclock')) {
    assert.deepEqual({ vcpu0, ended, worstNs: ns.max }, { vcpu0, ended: runs, worstNs: 0 });
  }
});
