import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MSR_KVM_SYSTEM_TIME_NEW } from '../../src/abi/msr.ts';
import { PVTI_SIZE } from '../../src/abi/pvti.ts';
import type { HostCpu } from '../../src/hypervisor/cpu.ts';
import { createKvm } from '../../src/hypervisor/kvm.ts';
import { ScriptedHost } from '../../src/hypervisor/scripted-host.ts';
import { createWords, sharedMemory } from '../../src/hypervisor/shared-memory.ts';
import { publishCost, refreshAndRun, UPDATE_SIZES } from '../../src/report/publish-cost.ts';
import { publishCostText } from '../../src/report/publish-cost-text.ts';

/** Calls of the interface that one update of a VM and all its records takes. */
function operations(vcpus: number): number {
  let calls = 0;
  const hostClock = new ScriptedHost({ tscHz: 2_500_000_000n });
  const buffer = new SharedArrayBuffer(vcpus * PVTI_SIZE);
  const real = sharedMemory({ memory: buffer, words: createWords(vcpus), hostClock });
  const memory: HostCpu = new Proxy(real, {
    get(target, name) {
      calls++;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  const hypervisor = createKvm({ memory, vcpus, hostClock });
  const each = (act: (vcpu: number) => void) => {
    for (let vcpu = 0; vcpu < vcpus; vcpu++) act(vcpu);
  };
  each((vcpu) => hypervisor.wrmsr(vcpu, MSR_KVM_SYSTEM_TIME_NEW, BigInt(vcpu * PVTI_SIZE) | 1n));
  const runAll = () =>
    each((vcpu) => {
      hypervisor.enter(vcpu);
      hypervisor.leave(vcpu);
    });
  for (let round = 0; round < 2; round++) refreshAndRun({ hypervisor, runAll });
  calls = 0;
  refreshAndRun({ hypervisor, runAll });
  return calls;
}

test('an update and all its records take the same number of operations for every vCPU more', () => {
  const [few, some, many] = [64, 128, 256].map(operations) as [number, number, number];
  assert.equal(many - some, 2 * (some - few));
  assert.ok((many - some) / 128 <= 60, `${(many - some) / 128} operations a vCPU`);
});

test('publishCost() measures a publish and an update of each size', () => {
  let rounds = 0;
  const cost = publishCost(2, 100, () => rounds++);
  assert.ok(rounds > 2);
  assert.deepEqual(
    cost.updates.map(({ vcpus }) => vcpus),
    UPDATE_SIZES,
  );
  assert.ok(UPDATE_SIZES.includes(1024));
  for (const { updateNs, allRecordsNs, nsPerVcpu, vcpus } of cost.updates) {
    assert.ok(updateNs.min > 0 && allRecordsNs.min > 0);
    assert.equal(nsPerVcpu, allRecordsNs.median / vcpus);
  }
  const output = { write() {}, isTerminal: false, colour: false };
  const text = publishCostText(cost, output);
  assert.match(text, /^publish one record from TypeScript: [\d.]+ (ns|us)\n/);
  assert.match(text, /\n1 024 +[\d.]+ (us|ms) +[\d.]+ (us|ms) +[\d.]+ (ns|us)\n$/);
});
