import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tscDue } from '../../src/hypervisor/catch-up.ts';
import { packScale } from '../../src/hypervisor/guest-tsc.ts';
import { POLICIES } from '../../src/hypervisor/policy.ts';
import { VCPU_WORDS, vcpuWord } from '../../src/hypervisor/words.ts';
import { timeScale } from '../../src/scale/time-scale.ts';
import { bareVm } from './bare-vm.ts';

const RATE_HZ = 250_000_000n;
const WRITTEN = 7_000n;

/** Where a TSC of 250 MHz should be that was written at 1000 ns. */
function dueAt(hostNs: bigint, catchUp: 'unsigned' | 'forward'): bigint {
  const { memory } = bareVm();
  memory.store64(vcpuWord(1, VCPU_WORDS.thisTscWrite), WRITTEN);
  memory.store64(vcpuWord(1, VCPU_WORDS.thisTscNs), 1_000n);
  memory.store64(vcpuWord(1, VCPU_WORDS.virtualScale), packScale(timeScale(RATE_HZ, 1_000_000_000n)));
  return tscDue(memory, { ...POLICIES.kvmclock, catchUp }, 1, hostNs);
}

test('tscDue() counts on from what was written, by the rate of the vCPU', () => {
  for (const catchUp of ['unsigned', 'forward'] as const) {
    assert.equal(dueAt(1_000n, catchUp), WRITTEN);
    assert.equal(dueAt(3_000n, catchUp), WRITTEN + 500n);
  }
});

test("tscDue() of a sample older than the write waits, or, as KVM's does, takes what has passed for nearly 2^64 ns", () => {
  assert.equal(dueAt(900n, 'forward'), WRITTEN);
  assert.equal(dueAt(900n, 'unsigned'), WRITTEN + 2n ** 62n - 25n);
});
