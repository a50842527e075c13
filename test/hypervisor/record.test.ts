import assert from 'node:assert/strict';
import { test } from 'node:test';
import { world } from './world.ts';

/** An unstable VM whose host's clock runs by `slewPpb` off its TSC, its vCPU `later` told anew halfway; then it is stable again. */
function stableAgain(slewPpb: bigint, later: number) {
  const vm = world();
  vm.host.advanceNs(1_000_000_000_000n);
  vm.host.keepTimeByTsc(false);
  vm.hypervisor.hostClocksourceChanged();
  vm.host.slew(slewPpb);
  vm.runAll();
  vm.host.advanceNs(5_000_000_000n);
  vm.hypervisor.vcpuMoved(later);
  vm.run(later);
  vm.host.advanceNs(5_000_000_000n);
  const own = [vm.clock(0), vm.clock(1)];
  const byHost = vm.hypervisor.getClock().clock;
  vm.host.keepTimeByTsc(true);
  vm.hypervisor.hostClocksourceChanged();
  vm.runAll();
  assert.deepEqual([vm.record(0).flags, vm.record(1).flags], [1, 1]);
  return { own, byHost, stable: vm.clock(0) };
}

for (const later of [0, 1]) {
  test(`a VM that becomes stable goes on from the clock of the vCPU that is ahead, not of ${later}`, () => {
    const { own, byHost, stable } = stableAgain(-100_000n, later);
    assert.ok(own[1 - later]! > own[later]! && own[later]! > byHost);
    assert.equal(stable, own[1 - later]);
  });

  test(`a VM that becomes stable goes by the clock of the host where that is ahead of every vCPU, ${later} told last`, () => {
    const { own, byHost, stable } = stableAgain(100_000n, later);
    assert.ok(byHost > own[0]! && byHost > own[1]!);
    assert.equal(stable, byHost);
  });
}

test('a VM that becomes stable goes on from the lines of its vCPUs as they were told last', () => {
  const vm = world();
  vm.host.keepTimeByTsc(false);
  vm.hypervisor.hostClocksourceChanged();
  for (const slewPpb of [100_000n, -100_000n]) {
    vm.host.slew(slewPpb);
    for (const vcpu of [0, 1]) vm.hypervisor.vcpuMoved(vcpu);
    vm.runAll();
    vm.runAll();
    vm.host.advanceNs(5_000_000_000n);
  }
  const told = vm.clock(0);
  assert.ok(told > vm.hypervisor.getClock().clock);
  vm.host.keepTimeByTsc(true);
  vm.hypervisor.hostClocksourceChanged();
  assert.equal(vm.hypervisor.getClock().clock, told);
});

test('what a vCPU showed before the clock was set back does not count where the VM becomes stable', () => {
  const vm = world();
  vm.host.keepTimeByTsc(false);
  vm.hypervisor.hostClocksourceChanged();
  vm.runAll();
  vm.host.advanceNs(5_000_000_000n);
  vm.hypervisor.setClock({ clock: 1_000n, flags: 0 });
  vm.host.keepTimeByTsc(true);
  vm.hypervisor.hostClocksourceChanged();
  assert.equal(vm.hypervisor.getClock().clock, 1_000n);
});
