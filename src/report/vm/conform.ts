/**
 * What a host's clock promises its guests, and what it does: case by case, on real vCPUs, with the figures. Everything that is
 * said of a case is made of what was measured there.
 */
import type { FlavourName } from '../../hypervisor/policy.ts';
import { Guest, startThreads } from '../../machine/kvm/guest.ts';
import type { Kvm } from '../../machine/kvm/kvm.ts';
import { RECORD_CASES } from './conform-record.ts';
import { REFRESH_CASES } from './conform-refresh.ts';
import { RESTORE_CASES } from './conform-restore.ts';
import { SET_CLOCK_CASES } from './conform-set-clock.ts';

/** `trap`: the host does what it says, and a VMM that does not know it is hurt. */
export type ConformVerdict = 'kept' | 'broken' | 'trap';

export type Figures = Readonly<Record<string, number | bigint | string | boolean>>;

export interface Finding {
  readonly verdict: ConformVerdict;
  /** One sentence, with the figures in it. */
  readonly seen: string;
  readonly figures: Figures;
}

export interface ConformCase {
  readonly name: string;
  readonly promised: string;
  /** What a VMM can do about it, where it is broken or a trap. */
  readonly advice?: string;
  /** Makes its guests by `open`; they are closed by its caller. */
  measure(open: OpenGuest): Promise<Finding>;
}

/** A new guest, its clock kept by whoever is examined. */
export type OpenGuest = (vcpus: number) => Promise<Guest>;

export interface CaseReport extends Finding {
  readonly name: string;
  readonly promised: string;
  readonly advice: string | null;
}

export const CASES: readonly ConformCase[] = [...SET_CLOCK_CASES, ...RECORD_CASES, ...REFRESH_CASES, ...RESTORE_CASES];

const MOST_VCPUS = 2;

/** Runs every case. `flavour`: our hypervisor keeps the clock; else KVM. */
export async function conform(
  kvm: Kvm,
  flavour?: FlavourName,
  onCase?: (name: string) => void,
  cases: readonly ConformCase[] = CASES,
): Promise<CaseReport[]> {
  const threads = await startThreads(kvm, MOST_VCPUS);
  const reports: CaseReport[] = [];
  try {
    for (const { name, promised, advice, measure } of cases) {
      onCase?.(name);
      const guests: Guest[] = [];
      const open: OpenGuest = async (vcpus) => {
        for (const guest of guests.splice(0)) await guest.close(); // one at a time: they share the threads
        const guest = await Guest.create(kvm, { vcpus, threads, flavour });
        guests.push(guest);
        return guest;
      };
      try {
        const finding = await measure(open);
        reports.push({ name, promised, ...finding, advice: finding.verdict === 'kept' ? null : (advice ?? null) });
      } finally {
        for (const guest of guests) await guest.close();
      }
    }
    return reports;
  } finally {
    await Promise.all(threads.map((thread) => thread.close()));
  }
}
