/**
 * What a VMM may want to know; every listener is optional, and none is needed for the clock to be right. `stability` and
 * `updating` are called in the middle of an update, all vCPUs held out of the guest: they must not throw, and not call the hypervisor.
 */
import type { MasterCopy } from './master-copy.ts';

/** Why the records of a VM lie on one line, or do not. */
export type Stability =
  | 'stable'
  | 'the host does not keep time by its TSC'
  | 'the TSC rate is not known'
  | 'the TSCs of the vCPUs differ'
  | 'the TSC of a vCPU has to be caught up'
  | 'the host TSC ran back'
  | 'vCPU 0 uses the old MSR';

/** What is wrong with the address that a guest gave for a structure. */
export type AddressProblem = 'misaligned' | 'crosses a page' | 'no memory there';

/** A structure that a guest has put where there is a problem, and what became of that. */
export interface AddressReport {
  readonly vcpu: number;
  readonly msr: number;
  /** What the guest wrote, to the bit. */
  readonly value: bigint;
  /** Guest-physical; beyond 2^53 only about there, where no memory is. */
  readonly address: number;
  readonly problem: AddressProblem;
  /** `refused`: the WRMSR faults. `dropped`: accepted and never written. `written`: kept all the same. */
  readonly outcome: 'refused' | 'dropped' | 'written';
}

/** What a VMM may listen to. */
export interface HypervisorEvents {
  /** The VM's records became stable, or stopped being so. Called by the thread that made the update. */
  stability(reason: Stability): void;
  /** A guest gave an address that its hypervisor cannot, or should not, write to. */
  badAddress(report: AddressReport): void;
  /** The VM-wide copy is about to be written anew; called by the updater, under the lock, before any record follows. */
  updating(copy: MasterCopy): void;
}

export const NO_EVENTS: HypervisorEvents = {
  stability() {},
  badAddress() {},
  updating() {},
};
