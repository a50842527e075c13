import assert from 'node:assert/strict';
import { MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW } from '../../../src/abi/msr.ts';
import { PVCLOCK_TSC_STABLE_BIT, PVTI } from '../../../src/abi/pvti.ts';
import { lineAt } from '../../../src/guest/sequence.ts';
import { Guest } from '../../../src/machine/kvm/guest.ts';
import { DATA_AT, GUEST_MEMORY_BYTES, WALL_CLOCK_AT } from '../../../src/machine/kvm/guest-memory.ts';
import { SAMPLE_ONCE, SAMPLE_ONCE_BYTES } from '../../../src/machine/kvm/samplers.ts';
import { tscToNs } from '../../../src/scale/time-scale.ts';
import { VCPU_SELECTOR } from '../../../src/vdso/readers.ts';
import { kvmTest, realKvm } from './real-kvm.ts';

async function withGuest(vcpus: number, body: (guest: Guest) => Promise<void>): Promise<void> {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus });
  await body(guest);
}

kvmTest('Guest.create() refuses a number of vCPUs that it has no room for', async () => {
  using kvm = realKvm();
  await assert.rejects(Guest.create(kvm, { vcpus: 0 }), /1..64 vCPUs, got 0/);
  await assert.rejects(Guest.create(kvm, { vcpus: 65 }), /1..64 vCPUs, got 65/);
});

kvmTest('Guest.call() passes two u64 and hands a u64 back', () =>
  withGuest(1, async (guest) => {
    const pvti = guest.allocate(32);
    const view = guest.vm.memory.view;
    view.setBigUint64(pvti + PVTI.tscTimestamp, 1_000n, true);
    view.setBigUint64(pvti + PVTI.systemTime, 0xffff_ffff_0000_0000n, true);
    view.setUint32(pvti + PVTI.tscToSystemMul, 0x8000_0000, true);
    const tsc = 0x1234_5678_9abc_def0n;
    const ns = lineAt(tsc, 1_000n, 0xffff_ffff_0000_0000n, 0x8000_0000, 0);
    assert.equal(await guest.call(0, 'kvmclock_at', { first: pvti, second: tsc }), ns);
  }),
);

kvmTest('Guest runs every vCPU with its own number', () =>
  withGuest(2, async (guest) => {
    for (const vcpu of [0, 1]) assert.equal(await guest.call(vcpu, 'kvmclock_vcpu'), BigInt(vcpu));
  }),
);

kvmTest('Guest with local APICs runs every vCPU: none waits to be started by another', async () => {
  using kvm = realKvm();
  await using guest = await Guest.create(kvm, { vcpus: 2, irqchip: true });
  assert.equal(await guest.call(1, 'kvmclock_vcpu', { deadlineMs: 5_000 }), 1n);
});

kvmTest("the number of a Guest's vCPU is the limit of a segment in its own table, which LSL reads on most hosts", () =>
  withGuest(3, async (guest) => {
    for (const vcpu of guest.vm.vcpus) {
      const segment = Number(vcpu.sregs().gdtBase) + (VCPU_SELECTOR & ~7);
      assert.equal(guest.vm.memory.view.getUint16(segment, true), vcpu.id);
    }
  }),
);

kvmTest(
  'Guest.enableRecord() gives a stable record at the next entry, which the readers read between two KVM_GET_CLOCKs',
  () =>
    withGuest(2, async (guest) => {
      for (const vcpu of [0, 1]) guest.enableRecord(vcpu);
      for (const vcpu of [0, 1]) await guest.call(vcpu, 'guest_nothing');
      const { mul, shift } = tscToNs(BigInt(guest.vm.vcpus[0]!.tscKhz()) * 1000n);
      for (const vcpu of [0, 1]) {
        const { version, tscToSystemMul, tscShift, flags } = guest.record(vcpu);
        assert.deepEqual(
          { odd: version & 1, tscToSystemMul, tscShift, flags },
          { odd: 0, tscToSystemMul: mul, tscShift: shift, flags: PVCLOCK_TSC_STABLE_BIT },
        );
        assert.ok(version > 0);
      }
      for (const reader of ['before', 'rfc', 'landed', 'relaxed']) {
        const low = guest.vm.getClock().clock;
        const ns = await guest.call(1, `kvmclock_read_${reader}`, { first: guest.recordAt(0) });
        const high = guest.vm.getClock().clock;
        assert.ok(low <= ns && ns <= high, `${reader}: ${low} ${ns} ${high}`);
      }
    }),
);

kvmTest('Guest runs privileged code at level 0 and goes back to level 3', () =>
  withGuest(2, async (guest) => {
    const value = BigInt(guest.recordAt(1) | 1);
    await guest.call(1, 'guest_wrmsr', { first: MSR_KVM_SYSTEM_TIME_NEW, second: value, ring: 0 });
    assert.equal(await guest.call(1, 'guest_rdmsr', { first: MSR_KVM_SYSTEM_TIME, ring: 0 }), value);
    assert.equal(guest.vm.vcpus[1]!.msr(MSR_KVM_SYSTEM_TIME_NEW), value);
    assert.ok(guest.record(1).version > 0);
    await assert.rejects(
      guest.call(1, 'guest_wrmsr', { first: MSR_KVM_SYSTEM_TIME_NEW, second: value }),
      /triple fault/,
    );
  }),
);

kvmTest("Guest's guest_register asks for a record and answers the version that stands there right behind", () =>
  withGuest(2, async (guest) => {
    const value = BigInt(guest.recordAt(1) | 1);
    const options = { first: MSR_KVM_SYSTEM_TIME_NEW, second: value, ring: 0 } as const;
    const version = await guest.call(1, 'guest_register', options);
    assert.equal(guest.vm.vcpus[1]!.msr(MSR_KVM_SYSTEM_TIME_NEW), value);
    assert.ok(version > 0n && version <= BigInt(guest.record(1).version));
  }),
);

const RET = 0xc3;
const STORED = 0x1122_3344_5566_7788n;

kvmTest('Guest lets user mode write its data', () =>
  withGuest(1, async (guest) => {
    const data = guest.allocate(8);
    await guest.call(0, 'guest_store', { first: data, second: STORED });
    assert.equal(guest.vm.memory.view.getBigUint64(data, true), STORED);
  }),
);

kvmTest('Guest executes nothing of its data', () =>
  withGuest(1, async (guest) => {
    const [block, code] = [guest.allocate(SAMPLE_ONCE_BYTES), guest.allocate(8)];
    guest.vm.memory.view.setUint8(code, RET);
    const call = (callee: number) => {
      guest.vm.memory.view.setBigUint64(block + SAMPLE_ONCE.callee, BigInt(callee), true);
      return guest.call(0, 'sample_once', { first: block });
    };
    await call(guest.address('guest_nothing'));
    await assert.rejects(call(code), /sample_once ended in a triple fault/);
  }),
);

for (const [what, placeIn] of [
  ['the records', (guest: Guest) => guest.recordAt(0)],
  ['the wall clock', () => WALL_CLOCK_AT],
  ['the code', (guest: Guest) => guest.address('guest_nothing')],
] as const) {
  kvmTest(`Guest shows ${what} to user mode read-only`, () =>
    withGuest(1, async (guest) => {
      const first = placeIn(guest);
      await guest.call(0, 'kvmclock_at', { first });
      await assert.rejects(guest.call(0, 'guest_store', { first, second: STORED }), /triple fault/);
    }),
  );
}

kvmTest('Guest faults on a null pointer', () =>
  withGuest(1, async (guest) => {
    await assert.rejects(
      guest.call(0, 'kvmclock_read_landed', { first: 0 }),
      /kvmclock_read_landed ended in a triple fault/,
    );
  }),
);

kvmTest('Guest.allocate() hands out zeroed, separate places until there are no more', () =>
  withGuest(1, async (guest) => {
    assert.equal(guest.allocate(8), DATA_AT);
    assert.equal(guest.allocate(8), DATA_AT + 64);
    assert.throws(() => guest.allocate(GUEST_MEMORY_BYTES), /do not fit/);
  }),
);

kvmTest('Guest.address() names a symbol that no image has', () =>
  withGuest(1, async (guest) => {
    assert.throws(() => guest.address('kvmclock_no_such'), /no symbol kvmclock_no_such/);
  }),
);
