/**
 * What a finished call has given its caller, and which properties it breaks by itself: told from the loads of its last
 * round and their stamps, which the reader never saw.
 */
import { PVCLOCK_TSC_STABLE_BIT } from '../abi/pvti.ts';
import type { Cells, Role, Word } from './cells.ts';
import { KIND, type Kind } from './operations.ts';
import type { PropertyName } from './properties.ts';
import { roleOf } from './replay.ts';
import type { Outcome } from './scenario.ts';
import type { Event } from './surroundings.ts';

/** The roles whose values make a time. */
const BODY: readonly Role[] = ['tscTimestamp', 'systemTime', 'tscToSystemMul', 'tscShift'];
const WALL: readonly Role[] = ['wallSec', 'wallNsec'];

export const NO_BIT = -1;

/** Nothing to judge: what the hypervisor's threads return. */
export const NO_OUTCOME: Outcome = { ns: undefined, bit: NO_BIT, broken: [], isCall: false, wall: 0, result: '' };

/** What a call's last round was made of. */
export interface Evidence {
  /** The guest's kernel was asked. */
  readonly inKernel: boolean;
  /** The update that each word came from, of the words that made the time. */
  readonly stamps: Readonly<Partial<Record<Role, number>>>;
  /** The update of the stable bit that let the time through; -1 where none did. */
  readonly bit: number;
  /** What the record of the vCPU whose TSC was read makes of that TSC ... */
  readonly expected: bigint | undefined;
  /** ... and which vCPU that is; -1 where no TSC was read. */
  readonly tscVcpu: number;
}

export function evidenceIn(cells: Cells, events: readonly Event[]): Evidence {
  const pin = events.findLastIndex(({ operation }) => operation.kind === KIND.pin);
  const last = lastLoads(cells, events.slice(pin + 1));
  const stamps: Partial<Record<Role, number>> = {};
  for (const role of [...BODY, ...WALL]) {
    const load = last.get(role);
    if (load !== undefined) stamps[role] = load.answer.stamp;
  }
  const reading = events.findLast(({ operation }) => isTscRead(operation.kind));
  // The kernel has its own vCPU's record, and a clamp where that is not stable: it needs no bit to return a time.
  const bit = pin >= 0 ? NO_BIT : bitUsed(last);
  return { inKernel: pin >= 0, stamps, bit, expected: reading?.answer.expected, tscVcpu: reading?.answer.vcpu ?? -1 };
}

/** A call of the guest's clock: a reader's, or the kernel's own, or the second after the first found no stable record. */
export function judge(cells: Cells, events: readonly Event[], ns: Word | undefined): Outcome {
  if (ns === undefined) return { ...NO_OUTCOME, isCall: true };
  const evidence = evidenceIn(cells, events);
  const result = evidence.inKernel ? 'kernel' : '';
  const broken = brokenBy(evidence, BigInt(ns));
  return { ns: BigInt(ns), bit: evidence.bit, broken, isCall: true, wall: evidence.stamps.wallSec ?? 0, result };
}

/** What a call that returned `ns` on this evidence breaks by itself. */
export function brokenBy({ inKernel, stamps, bit, expected }: Omit<Evidence, 'tscVcpu'>, ns: bigint): PropertyName[] {
  const updatesOf = (roles: readonly Role[]): number[] => roles.flatMap((role) => stamps[role] ?? []);
  const differ = (updates: readonly number[]): boolean => updates.some((stamp) => stamp !== updates[0]);
  const updates = updatesOf(BODY);
  const broken: PropertyName[] = [];
  if (differ(updates) || differ(updatesOf(WALL))) broken.push('torn');
  if (bit !== NO_BIT && updates.some((stamp) => stamp !== bit)) broken.push('mixed');
  if (!inKernel && expected !== undefined && expected !== ns) broken.push('own');
  return broken;
}

function isTscRead(kind: Kind): boolean {
  return kind === KIND.rdtsc || kind === KIND.rdtscAnyTime;
}

/** The last load of each role. Failed rounds are not among the events: their history is cut. */
function lastLoads(cells: Cells, events: readonly Event[]): Map<Role, Event> {
  const last = new Map<Role, Event>();
  for (const event of events) {
    if (event.operation.kind !== KIND.load) continue;
    const role = roleOf(cells, event.operation);
    // A line is kept only where its record was stable, so its version stands for the bit.
    if (role === 'version' && cells.specs[event.operation.cell]!.perThread) last.set('flags', event);
    else last.set(role, event);
  }
  return last;
}

/** The update of the stable bit that let the values through; -1 where it was another way. */
function bitUsed(last: ReadonlyMap<Role, Event>): number {
  const flags = last.get('flags');
  if (flags === undefined) return NO_BIT;
  const isByte = flags.operation.bytes === 1;
  return isByte && (Number(flags.answer.value) & PVCLOCK_TSC_STABLE_BIT) === 0 ? NO_BIT : flags.answer.stamp;
}
