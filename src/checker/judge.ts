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

const NO_BIT = -1;

/** Nothing to judge: what the hypervisor's threads return. */
export const NO_OUTCOME: Outcome = { ns: undefined, bit: NO_BIT, broken: [], isCall: false, result: '' };

/** A call of the guest's clock: a reader's, or the kernel's own, or the second after the first found no stable record. */
export function judge(cells: Cells, events: readonly Event[], ns: Word | undefined): Outcome {
  if (ns === undefined) return { ...NO_OUTCOME, isCall: true };
  const inKernel = events.findLastIndex(({ operation }) => operation.kind === KIND.pin);
  const last = lastLoads(cells, events.slice(inKernel + 1));
  const stamps = BODY.flatMap((role) => last.get(role)?.answer.stamp ?? []);
  const torn: PropertyName[] = stamps.some((stamp) => stamp !== stamps[0]) ? ['torn'] : [];
  // The kernel has its own vCPU's record, and a clamp where that is not stable: it needs no bit to return a time.
  if (inKernel >= 0) return { ns: BigInt(ns), bit: NO_BIT, broken: torn, isCall: true, result: 'kernel' };
  const bit = bitUsed(last);
  const reading = events.findLast(({ operation }) => isTscRead(operation.kind));
  const broken = [...torn];
  if (bit !== NO_BIT && stamps.some((stamp) => stamp !== bit)) broken.push('mixed');
  if (reading !== undefined && reading.answer.expected !== ns) broken.push('own');
  return { ns: BigInt(ns), bit, broken, isCall: true, result: '' };
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
