import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { KVM_CLOCK_HOST_TSC, KVM_CLOCK_REALTIME } from '../../../src/abi/kvm-clock-data.ts';
import { MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW } from '../../../src/abi/msr.ts';
import { decodePvti, PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT, type Pvti } from '../../../src/abi/pvti.ts';
import type { HostClock } from '../../../src/hypervisor/host-clock.ts';
import { createKvm, type KvmHypervisor } from '../../../src/hypervisor/kvm.ts';
import { createWords, sharedMemory } from '../../../src/hypervisor/shared-memory.ts';
import { VM_WORDS, vmWord } from '../../../src/hypervisor/words.ts';
import { allowCpus, allowedCpus, pinTo } from '../../../src/machine/affinity.ts';
import { Guest } from '../../../src/machine/kvm/guest.ts';
import { GUEST_MEMORY_BYTES } from '../../../src/machine/kvm/guest-memory.ts';
import type { Kvm } from '../../../src/machine/kvm/kvm.ts';
import type { Vcpu } from '../../../src/machine/kvm/vcpu.ts';
import { kvmTest, realKvm } from './real-kvm.ts';

/**
 * What KVM does not reveal, and is therefore fed from its results: the host's clock at a sample while no KVM_SET_CLOCK has
 * just fixed the sum of it and the offset; the real time at which KVM_SET_CLOCK with REALTIME samples; the host's clock in
 * KVM_GET_CLOCK while the VM is not stable; and, on a host that hides TSC offsets, these.
 */
interface Fed {
  tsc: bigint;
  ns: bigint;
  realtimeNs: bigint;
}

/** One history on both: the real KVM leads, ours is fed its samples, and after every step both must stand the same. */
class Histories {
  readonly guest: Guest;
  readonly ours: KvmHypervisor;
  readonly #memory = new SharedArrayBuffer(GUEST_MEMORY_BYTES);
  readonly #view = new DataView(this.#memory);
  readonly #fed: Fed = { tsc: 1n, ns: 0n, realtimeNs: 0n };
  readonly #offsets = [0n, 0n];
  compared = 0;

  constructor(guest: Guest) {
    this.guest = guest;
    const fed = this.#fed;
    const tscHz = BigInt(guest.vm.vcpus[0]!.tscKhz()) * 1000n;
    const hostClock: HostClock = {
      tscHz: () => tscHz,
      tsc: () => fed.tsc,
      ns: () => fed.ns,
      realtimeNs: () => fed.realtimeNs,
      sample: () => ({ ...fed }),
    };
    const memory = sharedMemory({ memory: this.#memory, words: createWords(2), hostClock });
    this.ours = createKvm({ memory, vcpus: 2, hostClock, flavour: 'kvm' });
    for (const vcpu of [0, 1]) this.ours.setTscOffset(vcpu, 0n);
  }

  record(vcpu: number): Pvti {
    return decodePvti(this.#view, this.guest.recordAt(vcpu));
  }

  #enterOurs(vcpu: number): void {
    this.ours.enter(vcpu);
    this.ours.leave(vcpu);
  }

  /**
   * Brings this thread to the processor that `vcpu` runs on. While a VM is not stable, KVM rewrites the record of a vCPU that
   * it finds on another processor, and every ioctl of a vCPU is such a find.
   */
  #beside(vcpu: number): Vcpu {
    pinTo(this.guest.vm.kvm.sys, vcpu % availableParallelism());
    return this.guest.vm.vcpus[vcpu]!;
  }

  /** `vcpu` runs on both. `fixed`: the clock has just been set, so its time is not fed but compared. */
  async enter(vcpu: number, fixed = false): Promise<void> {
    this.#beside(vcpu);
    await this.guest.call(vcpu, 'guest_nothing');
    this.#feed(vcpu, fixed);
    this.#enterOurs(vcpu);
    this.compare();
  }

  /** The sample that the record of `vcpu` is made of. */
  #feed(vcpu: number, fixed: boolean): void {
    const { tscTimestamp, systemTime } = this.guest.record(vcpu);
    const { cpu } = this.ours.vm;
    this.#fed.tsc = tscTimestamp - this.#beside(vcpu).tscOffset();
    if (!fixed) this.#fed.ns = BigInt.asUintN(64, systemTime - cpu.load64(vmWord(VM_WORDS.kvmclockOffset)));
  }

  setTscOffset(vcpu: number, offset: bigint): void {
    this.#beside(vcpu).setTscOffset(offset);
    this.ours.setTscOffset(vcpu, offset);
    this.#offsets[vcpu] = offset;
  }

  async guestWrites(vcpu: number, msr: number, value: bigint, live = true): Promise<void> {
    this.#beside(vcpu);
    await this.guest.call(vcpu, 'guest_wrmsr', { first: msr, second: value, ring: 0 });
    if (live) this.#feed(vcpu, false);
    assert.equal(this.ours.wrmsr(vcpu, msr, value), 'done');
    this.#enterOurs(vcpu);
    this.compare();
  }

  enable(vcpu: number): void {
    this.#beside(vcpu);
    this.guest.enableRecord(vcpu);
    this.ours.wrmsr(vcpu, MSR_KVM_SYSTEM_TIME_NEW, BigInt(this.guest.recordAt(vcpu) | 1), 'host');
  }

  /** KVM_SET_CLOCK; with `realtime` the flag too. */
  setClock(clock: bigint, realtime?: bigint): void {
    const data = realtime === undefined ? { clock, flags: 0 } : { clock, realtime, flags: KVM_CLOCK_REALTIME };
    this.guest.vm.setClock(data);
    const after = this.guest.vm.getClock();
    // The copy's own instant: the next record shows it. Until then any will do, as the sum with the offset is fixed.
    if (realtime !== undefined)
      this.#fed.realtimeNs = after.realtime - (after.clock - clock) + (after.realtime - realtime);
    this.#fed.tsc = after.hostTsc;
    this.#pending = data;
  }

  #pending: Parameters<KvmHypervisor['setClock']>[0] | undefined;

  /** Ours is set when the real record has shown the instant at which KVM did it. */
  async enterAfterSet(vcpu: number): Promise<void> {
    this.#beside(vcpu);
    await this.guest.call(vcpu, 'guest_nothing');
    const data = this.#pending!;
    const { systemTime } = this.guest.record(vcpu);
    this.#feed(vcpu, true);
    this.#fed.realtimeNs = systemTime - data.clock + (data.realtime ?? 0n);
    this.ours.setClock(data);
    this.#enterOurs(vcpu);
    this.compare();
  }

  /** Records, versions and clocks: everything of both that can be seen. */
  compare(): void {
    for (const vcpu of [0, 1]) {
      const real = this.guest.record(vcpu);
      const ours = this.record(vcpu);
      const hidden = ours.version === 0 ? 0n : this.#offsets[vcpu]! - this.#beside(vcpu).tscOffset();
      assert.deepEqual(
        { ...ours, tscTimestamp: ours.tscTimestamp - this.#shown(vcpu, hidden) },
        real,
        `record ${vcpu}`,
      );
    }
    const real = this.guest.vm.getClock();
    if ((real.flags & KVM_CLOCK_HOST_TSC) !== 0) {
      Object.assign(this.#fed, { tsc: real.hostTsc, realtimeNs: real.realtime });
      assert.deepEqual(this.ours.getClock(), real);
    } else assert.equal(this.ours.getClock().flags, real.flags);
    this.compared++;
  }

  /** The offset that stood when the record was made: a record that was not rewritten keeps the one before. */
  #shown(vcpu: number, hidden: bigint): bigint {
    const { version } = this.record(vcpu);
    const made = this.#made[vcpu]!;
    if (made.version !== version) this.#made[vcpu] = { version, hidden };
    return this.#made[vcpu]!.hidden;
  }

  readonly #made = [
    { version: 0, hidden: 0n },
    { version: 0, hidden: 0n },
  ];

  /** The guest writes over a record's version. */
  scribble(vcpu: number, version: number): void {
    for (const view of [this.#view, this.guest.vm.memory.view])
      view.setUint32(this.guest.recordAt(vcpu), version, true);
    this.#made[vcpu]!.version = version;
  }

  noteStopped(vcpu: number): void {
    this.#beside(vcpu).kvmclockCtrl();
    this.ours.kvmclockCtrl(vcpu);
    this.compare();
  }
}

const stable = (pvti: Pvti): boolean => (pvti.flags & PVCLOCK_TSC_STABLE_BIT) !== 0;

kvmTest('our flavour of KVM and the real KVM stand the same after every step of one history', async () => {
  using kvm = realKvm();
  const cpus = allowedCpus(kvm.sys);
  try {
    await history(kvm);
  } finally {
    allowCpus(kvm.sys, cpus);
  }
});

async function history(kvm: Kvm): Promise<void> {
  await using guest = await Guest.create(kvm, { vcpus: 2 });
  const both = new Histories(guest);

  // enable
  both.enable(0);
  await both.enter(0);
  both.enable(1);
  await both.enter(1);
  await both.enter(0);
  assert.ok(stable(guest.record(0)) && stable(guest.record(1)));

  // refresh: all TSCs match anew; vCPU 0, whose TSC began the new generation, makes the update
  const before = guest.record(0).tscTimestamp;
  for (const vcpu of [0, 1]) both.setTscOffset(vcpu, 1n);
  await both.enter(1);
  assert.equal(guest.record(1).tscTimestamp, before);
  await both.enter(0);
  assert.notEqual(guest.record(0).tscTimestamp, before);
  await both.enter(1);

  // TSC mismatch, and back
  both.setTscOffset(1, 2n);
  await both.enter(1);
  assert.ok(stable(guest.record(0)) && !stable(guest.record(1)), 'the race');
  await both.enter(0);
  assert.ok(!stable(guest.record(0)));
  both.setTscOffset(0, 2n);
  await both.enter(0);
  await both.enter(1);
  assert.ok(stable(guest.record(0)) && stable(guest.record(1)));

  // SET_CLOCK, without REALTIME and with
  both.setClock(5_000_000_000_000n);
  await both.enterAfterSet(1);
  assert.equal(guest.record(1).systemTime, 5_000_000_000_000n);
  assert.equal(both.record(1).systemTime, 5_000_000_000_000n);
  await both.enter(0, true);
  both.setClock(7_000_000_000_000n, BigInt(Date.now() - 60_000) * 1_000_000n);
  await both.enterAfterSet(0);
  await both.enter(1, true);
  assert.ok(guest.record(1).systemTime >= 7_060_000_000_000n);

  // pause: the flag is there after the next run, not before, and stays until the guest takes it
  both.noteStopped(0);
  assert.equal(guest.record(0).flags & PVCLOCK_GUEST_STOPPED, 0);
  await both.enter(0, true);
  assert.equal(guest.record(0).flags & PVCLOCK_GUEST_STOPPED, PVCLOCK_GUEST_STOPPED);
  for (const vcpu of [0, 1]) both.setTscOffset(vcpu, 3n);
  await both.enter(0);
  assert.equal(guest.record(0).flags & PVCLOCK_GUEST_STOPPED, PVCLOCK_GUEST_STOPPED);

  // old MSR by vCPU 0, then the new one again
  const value = BigInt(guest.recordAt(0) | 1);
  await both.guestWrites(0, MSR_KVM_SYSTEM_TIME, value);
  assert.ok(!stable(guest.record(0)));
  await both.enter(1);
  await both.guestWrites(0, MSR_KVM_SYSTEM_TIME_NEW, value);
  await both.enter(1);
  assert.ok(stable(guest.record(0)) && stable(guest.record(1)));

  // an odd version in the guest's memory
  both.scribble(1, 0xdead_beef);
  for (const vcpu of [0, 1]) both.setTscOffset(vcpu, 4n);
  await both.enter(0);
  await both.enter(1);
  assert.equal(guest.record(1).version, 0xdead_bef2);

  // a record across two pages is taken and never written; KVM goes on with the record that it had
  const left = guest.record(1).version;
  const across = BigInt((guest.recordAt(0) + 4096 - 16) | 1);
  await both.guestWrites(1, MSR_KVM_SYSTEM_TIME_NEW, across);
  assert.equal(guest.record(1).version, left + 2);
  assert.equal(guest.vm.memory.view.getUint32(Number(across & ~1n), true), 0);
  for (const vcpu of [0, 1]) both.setTscOffset(vcpu, 5n);
  await both.enter(0);
  await both.enter(1);
  assert.equal(guest.record(1).version, left + 4);

  // a record that is given up
  await both.guestWrites(1, MSR_KVM_SYSTEM_TIME_NEW, BigInt(guest.recordAt(1)), false);
  for (const vcpu of [0, 1]) both.setTscOffset(vcpu, 6n);
  await both.enter(0);
  await guest.call(1, 'guest_nothing');
  both.compare();
  assert.equal(guest.record(1).version, left + 4);
  assert.ok(both.compared > 20);
}
