/** The records and the MSRs by which a guest asks for them. */
import { MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_WALL_CLOCK_NEW } from '../../abi/msr.ts';
import { PVCLOCK_TSC_STABLE_BIT, PVTI_BYTES } from '../../abi/pvti.ts';
import { decodeStruct } from '../../abi/struct.ts';
import { WALL_CLOCK_LAYOUT } from '../../abi/wall-clock.ts';
import type { Guest } from '../../machine/kvm/guest.ts';
import { WALL_CLOCK_AT } from '../../machine/kvm/guest-memory.ts';
import { GuestError } from '../../machine/kvm/thread.ts';
import { PAGE_BYTES } from '../../machine/sys.ts';
import { WARP_LOOP, WARP_LOOP_BYTES } from '../../vdso/measure.ts';
import type { ConformCase, Finding, OpenGuest } from './conform.ts';
import { settleRecords } from './race.ts';

const NSEC_PER_SEC = 1_000_000_000n;
const WALL_BOUND_NS = NSEC_PER_SEC;
const MONOTONIC_READS = 1_000_000;
const GARBAGE = 0xdead_beef;

const isStable = (flags: number): boolean => (flags & PVCLOCK_TSC_STABLE_BIT) !== 0;

function register(guest: Guest, vcpu: number, msr: number, address = guest.recordAt(vcpu)): Promise<bigint> {
  return guest.call(vcpu, 'guest_register', { first: msr, second: address | 1, ring: 0 });
}

/** `garbage`: what stands in the version's place beforehand. */
async function validAtWrmsr(open: OpenGuest, garbage: number): Promise<Finding> {
  const guest = await open(2);
  const versions: bigint[] = [];
  for (const vcpu of [0, 1]) {
    guest.vm.memory.view.setUint32(guest.recordAt(vcpu), garbage, true);
    versions.push(await register(guest, vcpu, MSR_KVM_SYSTEM_TIME_NEW));
  }
  const valid = versions.every((version) => version !== 0n && version % 2n === 0n && version !== BigInt(garbage));
  return {
    verdict: valid ? 'kept' : 'broken',
    seen: `the next instruction found versions ${versions.join(' and ')}, where 0x${garbage.toString(16)} had stood`,
    figures: { version0: versions[0]!, version1: versions[1]! },
  };
}

async function alias(open: OpenGuest): Promise<Finding> {
  const guest = await open(1);
  await register(guest, 0, MSR_KVM_SYSTEM_TIME_NEW);
  const [older, newer] = [
    await guest.call(0, 'guest_rdmsr', { first: MSR_KVM_SYSTEM_TIME, ring: 0 }),
    await guest.call(0, 'guest_rdmsr', { first: MSR_KVM_SYSTEM_TIME_NEW, ring: 0 }),
  ];
  return {
    verdict: older === newer && newer === BigInt(guest.recordAt(0) | 1) ? 'kept' : 'broken',
    seen: `RDMSR gave 0x${older.toString(16)} by the old number and 0x${newer.toString(16)} by the new one`,
    figures: { older, newer },
  };
}

async function monotonic(open: OpenGuest): Promise<Finding> {
  const guest = await open(2);
  await settleRecords(guest);
  const { view } = guest.vm.memory;
  const shared = guest.allocate(8);
  const blocks = [0, 1].map(() => guest.allocate(WARP_LOOP_BYTES));
  for (const block of blocks) {
    view.setBigUint64(block + WARP_LOOP.callee, BigInt(guest.address('kvmclock_read_landed')), true);
    view.setBigUint64(block + WARP_LOOP.first, BigInt(guest.recordAt(0)), true);
    view.setBigUint64(block + WARP_LOOP.count, BigInt(MONOTONIC_READS), true);
    view.setBigUint64(block + WARP_LOOP.shared, BigInt(shared), true);
  }
  await Promise.all(blocks.map((block, vcpu) => guest.call(vcpu, 'kvmclock_warp_loop', { first: block })));
  const sum = (offset: number): number =>
    blocks.reduce((total, block) => total + Number(view.getBigUint64(block + offset, true)), 0);
  const worst = blocks.map((block) => Number(view.getBigUint64(block + WARP_LOOP.worstNs, true)));
  const [reads, warps] = [sum(WARP_LOOP.reads), sum(WARP_LOOP.warps)];
  return {
    verdict: warps === 0 && reads === 2 * MONOTONIC_READS ? 'kept' : 'broken',
    seen: `${warps} warps in ${reads} readings on 2 vCPUs at once`,
    figures: { reads, warps, worstWarpNs: Math.max(...worst), stalls: sum(WARP_LOOP.stalls) },
  };
}

async function wallClock(open: OpenGuest): Promise<Finding> {
  const guest = await open(1);
  await settleRecords(guest);
  await guest.call(0, 'guest_wrmsr', { first: MSR_KVM_WALL_CLOCK_NEW, second: WALL_CLOCK_AT, ring: 0 });
  const { version, sec, nsec } = decodeStruct(WALL_CLOCK_LAYOUT, guest.vm.memory.view, WALL_CLOCK_AT);
  const { clock, realtime } = guest.clock.get();
  const apartNs = BigInt(sec) * NSEC_PER_SEC + BigInt(nsec) - (realtime - clock);
  const within = apartNs < WALL_BOUND_NS && apartNs > -WALL_BOUND_NS;
  return {
    verdict: within && version !== 0 && version % 2 === 0 ? 'kept' : 'broken',
    seen: `${apartNs} ns from the host's real time less the clock, version ${version}`,
    figures: { apartNs, version },
  };
}

async function oldMsr(open: OpenGuest): Promise<Finding> {
  const guest = await open(2);
  await settleRecords(guest);
  const flags: boolean[] = [];
  for (const msr of [MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW]) {
    await register(guest, 0, msr);
    await guest.call(1, 'guest_nothing');
    flags.push(isStable(guest.record(1).flags));
  }
  const [withOld, withNew] = flags as [boolean, boolean];
  const say = (stable: boolean): string => (stable ? 'stable' : 'not stable');
  return {
    verdict: !withNew ? 'broken' : withOld ? 'kept' : 'trap',
    seen: `vCPU 1's record was ${say(withOld)} after vCPU 0 used the old MSR, and ${say(withNew)} after it used the new one`,
    figures: { stableWithOldMsr: withOld, stableWithNewMsr: withNew },
  };
}

async function acrossPages(open: OpenGuest): Promise<Finding> {
  const guest = await open(1);
  const address = guest.recordAt(0) + PAGE_BYTES - PVTI_BYTES / 2;
  try {
    const version = await register(guest, 0, MSR_KVM_SYSTEM_TIME_NEW, address);
    await guest.call(0, 'guest_nothing');
    const later = guest.vm.memory.view.getUint32(address, true);
    return {
      verdict: later === 0 ? 'broken' : 'kept',
      seen: `the WRMSR was taken; the record's version was ${version} then and ${later} after the next entry`,
      figures: { refused: false, version: later },
    };
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    return {
      verdict: 'kept',
      seen: `the WRMSR was refused with #GP (${error.message})`,
      figures: { refused: true, version: 0 },
    };
  }
}

export const RECORD_CASES: readonly ConformCase[] = [
  {
    name: 'record-valid-at-wrmsr',
    promised: 'the record is valid, its version even and not 0, when the WRMSR that asks for it retires',
    measure: (open) => validAtWrmsr(open, 0),
  },
  {
    name: 'record-over-garbage',
    promised: 'the same where an odd number stood in the place of the version',
    measure: (open) => validAtWrmsr(open, GARBAGE),
  },
  { name: 'msr-alias', promised: 'the old and the new number of the MSR are one register', measure: alias },
  { name: 'monotonic', promised: 'no reading is behind one that any vCPU was given before', measure: monotonic },
  { name: 'wall-clock', promised: "wall clock + clock is the host's time of day, within 1 s", measure: wallClock },
  {
    name: 'old-msr-ends-stability',
    promised: 'a guest may ask by either MSR; by the old one it may lose the stable bit',
    advice: 'leave bit 0 of CPUID 0x40000001 out, so that guests use the new MSR',
    measure: oldMsr,
  },
  {
    name: 'record-across-pages',
    promised: 'a record whose WRMSR is taken is written',
    advice:
      "refuse such a WRMSR (an MSR filter hands it to the VMM), as KVM takes it and the guest's clock stands still",
    measure: acrossPages,
  },
];
