import assert from 'node:assert/strict';
import { MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_WALL_CLOCK_NEW } from '../../../src/abi/msr.ts';
import { PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT } from '../../../src/abi/pvti.ts';
import { decodeStruct } from '../../../src/abi/struct.ts';
import { WALL_CLOCK_LAYOUT } from '../../../src/abi/wall-clock.ts';
import { Guest } from '../../../src/machine/kvm/guest.ts';
import { WALL_CLOCK_AT } from '../../../src/machine/kvm/guest-memory.ts';
import { kvmTest, realKvm } from './real-kvm.ts';

async function withGuest(vcpus: number, body: (guest: Guest) => Promise<void>): Promise<void> {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus, flavour: 'kvmclock' });
  await body(guest);
}

kvmTest("our clock takes the guest's WRMSR: the record is valid when it retires, and KVM knows nothing of it", () =>
  withGuest(2, async (guest) => {
    const value = BigInt(guest.recordAt(1) | 1);
    await guest.call(1, 'guest_wrmsr', { first: MSR_KVM_SYSTEM_TIME_NEW, second: value, ring: 0 });
    const { version, flags } = guest.record(1);
    assert.ok(version > 0 && version % 2 === 0);
    assert.equal(flags, PVCLOCK_TSC_STABLE_BIT);
    assert.equal(await guest.call(1, 'guest_rdmsr', { first: MSR_KVM_SYSTEM_TIME, ring: 0 }), value);
    assert.equal(guest.vm.vcpus[1]!.msr(MSR_KVM_SYSTEM_TIME_NEW), 0n);
  }),
);

kvmTest('our clock injects #GP for a record across two pages, which KVM takes and never writes', () =>
  withGuest(1, async (guest) => {
    const across = BigInt((guest.recordAt(0) + 4096 - 16) | 1);
    const write = guest.call(0, 'guest_wrmsr', { first: MSR_KVM_SYSTEM_TIME_NEW, second: across, ring: 0 });
    await assert.rejects(write, /triple fault/);
  }),
);

kvmTest('our clock reads between two readings of the host on every vCPU', () =>
  withGuest(2, async (guest) => {
    for (const vcpu of [0, 1, 0, 1]) {
      guest.enableRecord(vcpu);
      const low = guest.clock.get().clock;
      const ns = await guest.call(vcpu, 'kvmclock_read_before', { first: guest.recordAt(0) });
      const high = guest.clock.get().clock;
      assert.ok(low <= ns && ns <= high, `${low} ${ns} ${high}`);
    }
  }),
);

kvmTest("our clock's wall clock is the host's time of day", () =>
  withGuest(1, async (guest) => {
    guest.enableRecord(0);
    const low = BigInt(Date.now()) * 1_000_000n;
    await guest.call(0, 'guest_wrmsr', { first: MSR_KVM_WALL_CLOCK_NEW, second: WALL_CLOCK_AT, ring: 0 });
    const ns = await guest.call(0, 'kvmclock_read_landed', { first: guest.recordAt(0) });
    const high = BigInt(Date.now() + 1) * 1_000_000n;
    const { version, sec, nsec } = decodeStruct(WALL_CLOCK_LAYOUT, guest.vm.memory.view, WALL_CLOCK_AT);
    const wall = BigInt(sec) * 1_000_000_000n + BigInt(nsec) + ns;
    assert.equal(version % 2, 0);
    assert.ok(low <= wall && wall <= high, `${low} ${wall} ${high}`);
  }),
);

kvmTest('our clock tells the guest at once that it was stopped', () =>
  withGuest(1, async (guest) => {
    guest.enableRecord(0);
    await guest.call(0, 'guest_nothing');
    guest.clock.noteStopped(0);
    assert.equal(guest.record(0).flags & PVCLOCK_GUEST_STOPPED, PVCLOCK_GUEST_STOPPED);
  }),
);

kvmTest('our clock holds every vCPU out of the guest while it sets the time: nobody is left with the old record', () =>
  withGuest(2, async (guest) => {
    for (const vcpu of [0, 1]) guest.enableRecord(vcpu);
    const spinning = [0, 1].map((vcpu) => guest.call(vcpu, 'guest_spin').catch((error: Error) => error.message));
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (let i = 1; i <= 200; i++) {
      guest.clock.set({ clock: BigInt(i) * 3_600_000_000_000n });
      assert.ok(guest.record(0).systemTime >= BigInt(i) * 3_600_000_000_000n);
    }
    while (guest.record(1).systemTime < 200n * 3_600_000_000_000n)
      await new Promise((resolve) => setTimeout(resolve, 1));
    await Promise.all(guest.threads.map((thread) => thread.stop()));
    for (const message of await Promise.all(spinning)) assert.match(message as string, /interrupted/);
  }),
);

kvmTest('a closed guest has no clock: what it would write to is gone', async () => {
  using kvm = realKvm();
  for (const flavour of [undefined, 'kvmclock'] as const) {
    const guest = await Guest.create(kvm, { vcpus: 1, flavour });
    await guest.close();
    assert.throws(() => guest.clock, /the guest is closed/);
  }
});
