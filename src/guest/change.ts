/** What a rewrite of the record means to those who read it. */
import { PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT, type Pvti } from '../abi/pvti.ts';
import { lineAt } from './sequence.ts';

/**
 * `unstable`, `stable`: the stable bit was lost, or came back.
 * `migration`: another TSC rate: the VM runs on other hardware, or the host calibrated its clock anew.
 * `restore`: the clock was set, or the VM restored: the TSC went back, or time jumped by a millisecond or more.
 * `paused`: the hypervisor held the vCPU back and says so.
 * `refresh`: a new base on nearly the same line: what a hypervisor does from time to time.
 */
export const CHANGE_KINDS = ['unstable', 'stable', 'migration', 'restore', 'paused', 'refresh'] as const;

/** What a rewrite of the record was: see CHANGE_KINDS. */
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** A rewrite of the record, as whoever looked before and after sees it. */
export interface RecordChange {
  /** The weightiest of what happened, in the order of CHANGE_KINDS. */
  readonly kind: ChangeKind;
  readonly before: Pvti;
  readonly after: Pvti;
  /** New line less old line, at one TSC, in ns; undefined where that TSC lies before one of the two timestamps. */
  readonly jumpNs: bigint | undefined;
}

/** A jump of this size is no refresh: refreshes lose or gain what the arithmetic rounded off. */
const JUMP_NS = 1_000_000n;

/** Compares two records of one vCPU at `tsc`, a TSC read after the second was; undefined where nothing was rewritten. */
export function recordChange(before: Pvti, after: Pvti, tsc: bigint): RecordChange | undefined {
  const flagsChanged = before.flags !== after.flags;
  if (before.version === after.version && !flagsChanged) return undefined;
  const jumpNs = jump(before, after, tsc);
  return { kind: kindOf(before, after, jumpNs), before, after, jumpNs };
}

function kindOf(before: Pvti, after: Pvti, jumpNs: bigint | undefined): ChangeKind {
  const lost = before.flags & ~after.flags;
  const gained = after.flags & ~before.flags;
  if ((lost & PVCLOCK_TSC_STABLE_BIT) !== 0) return 'unstable';
  if ((gained & PVCLOCK_TSC_STABLE_BIT) !== 0) return 'stable';
  if (before.tscToSystemMul !== after.tscToSystemMul || before.tscShift !== after.tscShift) return 'migration';
  if (jumpNs === undefined || jumpNs >= JUMP_NS || jumpNs <= -JUMP_NS) return 'restore';
  if ((gained & PVCLOCK_GUEST_STOPPED) !== 0) return 'paused';
  return 'refresh';
}

function jump(before: Pvti, after: Pvti, tsc: bigint): bigint | undefined {
  if (tsc < before.tscTimestamp || tsc < after.tscTimestamp) return undefined;
  const at = (p: Pvti) => lineAt(tsc, p.tscTimestamp, p.systemTime, p.tscToSystemMul, p.tscShift);
  return BigInt.asIntN(64, at(after) - at(before));
}
