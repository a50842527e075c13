/**
 * What refreshes of the VM-wide copy do to a guest's clock: one history, lived through once with KVM's base and once with
 * the continuous one. A simulated host, so every instant is known exactly and the same history can be had again; its clock
 * counts at the rate that its TSC really has, to the hertz, where KVM's arithmetic has that rate cut to a kHz.
 */
import type { Pvti } from '../abi/pvti.ts';
import { clockOnLine } from '../hypervisor/clock-guest.ts';
import { FLAVOURS, type Flavour } from '../hypervisor/flavours.ts';
import { randomFrom } from './random.ts';
import { scriptedVm } from './scripted-vm.ts';

/** When the copy is taken anew, and at which rate the TSC counts from there on. */
export interface RefreshAt {
  /** ns since the refresh before. */
  readonly afterNs: bigint;
  /** Hz. */
  readonly tscHz: bigint;
}

export interface RefreshHistory {
  /** Hz at the start. */
  readonly tscHz: bigint;
  readonly refreshes: readonly RefreshAt[];
}

/** What guests saw of it. Times in ns. */
export interface RefreshJumps {
  readonly flavour: string;
  readonly refreshes: number;
  /** Furthest that the time read at one TSC moved forward, and back, from the old record to the new. */
  readonly worstForwardNs: bigint;
  readonly worstBackNs: bigint;
  /** Refreshes after which a reading was lower than one before. */
  readonly stepsBack: number;
  /** Where the guest's clock ended, against the host's. */
  readonly driftNs: bigint;
}

const VCPUS = 2;
const MIN_HZ = 500_000_000n;
const MAX_HZ = 5_000_000_000n;
const DAY_NS = 86_400_000_000_000n;

/** The two flavours that are compared: KVM as it is, and ours. */
export const COMPARED: readonly Flavour[] = [FLAVOURS.kvm, FLAVOURS.kvmclock];

/**
 * `refreshes` at random over a day of simulated time. `rates`: the TSC counts at one random rate from 0.5 to 5 GHz all day, or
 * at another after every refresh, as for a guest that is moved from host to host.
 */
export function randomHistory(seed: number, refreshes: number, rates: 'one' | 'changing'): RefreshHistory {
  const random = randomFrom(seed);
  const rate = () => MIN_HZ + BigInt(Math.floor(random() * Number(MAX_HZ - MIN_HZ)));
  const tscHz = rate();
  const gaps = Array.from({ length: refreshes }, () => 1e-6 + random());
  const sum = gaps.reduce((total, gap) => total + gap, 0);
  const refreshAt = (gap: number): RefreshAt => {
    const afterNs = BigInt(Math.floor((gap / sum) * Number(DAY_NS)));
    return { afterNs, tscHz: rates === 'one' ? tscHz : rate() };
  };
  return { tscHz, refreshes: gaps.map(refreshAt) };
}

/** Lives through `history` as `flavour` does. */
export function replayRefreshes(history: RefreshHistory, flavour: Flavour): RefreshJumps {
  const { host, hypervisor, record, runAll } = scriptedVm({ tscHz: history.tscHz }, VCPUS, { flavour });
  let [worstForwardNs, worstBackNs, stepsBack] = [0n, 0n, 0];
  let { tscHz } = history;
  for (const refresh of history.refreshes) {
    host.advanceNs(refresh.afterNs);
    const before = record(0);
    if (refresh.tscHz !== tscHz) {
      tscHz = refresh.tscHz;
      host.setTscHz(tscHz);
      hypervisor.hostRateChanged();
    }
    hypervisor.refresh();
    runAll();
    let steppedBack = false;
    for (let vcpu = 0; vcpu < VCPUS; vcpu++) {
      const jump = jumpAt(hypervisor.readTsc(vcpu), before, record(vcpu));
      if (jump > worstForwardNs) worstForwardNs = jump;
      if (-jump > worstBackNs) worstBackNs = -jump;
      if (jump < 0n) steppedBack = true;
    }
    if (steppedBack) stepsBack++;
  }
  const driftNs = clockOnLine(record(0), hypervisor.readTsc(0)) - host.ns();
  return {
    flavour: flavour.name,
    refreshes: history.refreshes.length,
    worstForwardNs,
    worstBackNs,
    stepsBack,
    driftNs,
  };
}

/** How the time that a guest reads at `tsc` moves from the record before to the record after. */
function jumpAt(tsc: bigint, before: Pvti, after: Pvti): bigint {
  return clockOnLine(after, tsc) - clockOnLine(before, tsc);
}
