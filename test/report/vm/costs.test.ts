import assert from 'node:assert/strict';
import { hostCosts } from '../../../src/report/vm/costs.ts';
import { hostText } from '../../../src/report/vm/costs-text.ts';
import { kvmTest, realKvm } from '../../machine/kvm/real-kvm.ts';

for (const flavour of [undefined, 'kvmclock'] as const) {
  kvmTest(`hostCosts() times a WRMSR on both ways, and updates of a large VM by ${flavour ?? 'KVM'}`, async () => {
    using kvm = realKvm();
    const costs = await hostCosts(kvm, flavour);
    const { wrmsr, update } = costs;
    assert.equal(update.vcpus, 8);
    for (const { min, median, max } of [wrmsr.byKvmNs, wrmsr.byUsNs, update.vcpusOutNs, update.vcpusInNs]) {
      assert.ok(min > 0 && min <= median && median <= max);
    }
    assert.ok(wrmsr.byUsNs.min > wrmsr.byKvmNs.min, 'a WRMSR that leaves KVM_RUN does more than one that does not');
    const text = hostText(costs, flavour ?? 'kvm', { write() {}, isTerminal: false, colour: false });
    assert.equal(text.split('\n').length, 6);
  });
}
