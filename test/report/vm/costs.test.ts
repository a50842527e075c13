import assert from 'node:assert/strict';
import { hostCosts } from '../../../src/report/vm/costs.ts';
import { hostText } from '../../../src/report/vm/costs-text.ts';
import { kvmTest, realKvm } from '../../machine/kvm/real-kvm.ts';

/** The least that a reading of the clock takes. */
function hrtimeNs(): number {
  const times = Array.from({ length: 1000 }, () => -Number(process.hrtime.bigint() - process.hrtime.bigint()));
  return Math.min(...times);
}

for (const flavour of [undefined, 'kvmclock'] as const) {
  kvmTest(`hostCosts() times a WRMSR on both ways, and updates of a large VM by ${flavour ?? 'KVM'}`, async () => {
    using kvm = realKvm();
    const start = process.hrtime.bigint();
    const costs = await hostCosts(kvm, flavour);
    const allNs = Number(process.hrtime.bigint() - start);
    const { wrmsr, update } = costs;
    assert.equal(update.vcpus, 8);
    for (const { min, median, max } of [wrmsr.byKvmNs, wrmsr.byUsNs, update.vcpusOutNs, update.vcpusInNs]) {
      assert.ok(min > 0 && min <= median && median <= max && min < max, 'a spread of several rounds');
    }
    assert.ok(wrmsr.byUsNs.min > wrmsr.byKvmNs.min, 'a WRMSR that leaves KVM_RUN does more than one that does not');
    for (const { min, max } of [wrmsr.byKvmNs, wrmsr.byUsNs]) {
      assert.ok(min > hrtimeNs(), 'it leaves the guest, which takes longer than to read a clock');
      assert.ok(max * 1000 < allNs, 'a round has more than a thousand of them');
    }
    const text = hostText(costs, flavour ?? 'kvm', { write() {}, isTerminal: false, colour: false });
    assert.equal(text.split('\n').length, 6);
  });
}
