/**
 * What it costs a host to keep a guest's clock: a WRMSR by KVM itself and one that is handed to us, and an update that holds
 * every vCPU of a large VM out of the guest.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { MSR_KVM_WALL_CLOCK_NEW } from '../../abi/msr.ts';
import type { FlavourName } from '../../hypervisor/policy.ts';
import { Guest } from '../../machine/kvm/guest.ts';
import type { Kvm } from '../../machine/kvm/kvm.ts';
import { type Spread, spreadOf } from '../statistics.ts';
import { settleRecords } from './race.ts';

export interface HostCosts {
  /** One WRMSR of a clock MSR that asks for nothing, with the loop's other two instructions. */
  readonly wrmsr: { readonly byKvmNs: Spread; readonly byUsNs: Spread };
  /** One update, its vCPUs all out of the guest, and all in endless loops there. */
  readonly update: { readonly vcpus: number; readonly vcpusOutNs: Spread; readonly vcpusInNs: Spread };
}

const WRMSRS = 2_000;
const ROUNDS = 5;
const LARGE_VM = 8;
const UPDATES = 50;
const BETWEEN_MS = 5;
const SPIN_MS = 50;

export async function hostCosts(kvm: Kvm, flavour?: FlavourName): Promise<HostCosts> {
  const byKvmNs = await wrmsrCost(kvm, undefined);
  const byUsNs = await wrmsrCost(kvm, 'kvmclock');
  return { wrmsr: { byKvmNs, byUsNs }, update: { vcpus: LARGE_VM, ...(await updateCost(kvm, flavour)) } };
}

async function wrmsrCost(kvm: Kvm, flavour: FlavourName | undefined): Promise<Spread> {
  await using guest = await Guest.create(kvm, { vcpus: 1, flavour });
  const rounds: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const start = performance.now();
    await guest.call(0, 'guest_wrmsr_zero', { first: MSR_KVM_WALL_CLOCK_NEW, second: WRMSRS, ring: 0 });
    if (round > 0) rounds.push(((performance.now() - start) * 1e6) / WRMSRS); // the first warms up
  }
  return spreadOf(rounds);
}

async function updateCost(kvm: Kvm, flavour?: FlavourName): Promise<{ vcpusOutNs: Spread; vcpusInNs: Spread }> {
  await using guest = await Guest.create(kvm, { vcpus: LARGE_VM, flavour });
  await settleRecords(guest);
  const vcpusOutNs = await timeUpdates(guest);
  const spinning = guest.vm.vcpus.map(({ id }) => guest.call(id, 'guest_spin').catch((error: Error) => error));
  await sleep(SPIN_MS);
  const vcpusInNs = await timeUpdates(guest);
  await Promise.all(guest.threads.map((thread) => thread.stop()));
  for (const error of await Promise.all(spinning)) {
    if (!(error instanceof Error && /interrupted/.test(error.message))) throw error;
  }
  return { vcpusOutNs, vcpusInNs };
}

async function timeUpdates(guest: Guest): Promise<Spread> {
  const times: number[] = [];
  for (let i = 0; i < UPDATES; i++) {
    await sleep(BETWEEN_MS); // so that the vCPUs are back where they were
    const start = process.hrtime.bigint();
    guest.clock.refresh();
    times.push(Number(process.hrtime.bigint() - start));
  }
  return spreadOf(times);
}
