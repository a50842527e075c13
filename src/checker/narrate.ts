/** Operations and their answers in words. */
import { PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT } from '../abi/pvti.ts';
import { REQUEST } from '../hypervisor/request-bits.ts';
import { byteOf, type Cells, type Word } from './cells.ts';
import { KIND, type Operation } from './operations.ts';
import { type Answer, roleOf } from './replay.ts';

/** What was done, as a sentence without its subject: `reads version of record 0: 2`. */
export function narrate(cells: Cells, operation: Operation, answer: Answer): string {
  const { kind } = operation;
  if (operation.cell >= 0) return narrateAccess(cells, operation, answer);
  switch (kind) {
    case KIND.fence:
      return 'full fence: what it has stored is in memory';
    case KIND.vcpu:
      return `asks for its vCPU: ${answer.value}`;
    case KIND.pin:
      return `asks the kernel, on vCPU ${answer.value}`;
    case KIND.rdtsc:
    case KIND.rdtscAnyTime:
      return `reads the TSC of vCPU ${answer.vcpu}: ${answer.value}`;
    case KIND.hostTsc:
      return `reads the host's TSC: ${answer.value}`;
    case KIND.hostNs:
      return `reads the host's clock: ${answer.value} ns`;
    case KIND.hostSample:
      return `samples the host's clock: ${answer.expected} ns at TSC ${answer.value}`;
    case KIND.guest:
      return 'leaves the guest';
    case KIND.readBarrier:
      return 'read barrier';
    case KIND.loadFence:
    case KIND.tscFence:
      return 'fence: every earlier load is done';
    default:
      return 'does nothing more';
  }
}

function narrateAccess(cells: Cells, operation: Operation, answer: Answer): string {
  const name = nameOf(cells, operation);
  const shown = (value: Word): string => show(name, value);
  switch (operation.kind) {
    case KIND.load:
      return `reads ${name}: ${shown(answer.value)}`;
    case KIND.store:
    case KIND.count:
      return `writes ${name}: ${shown(operation.operand)}`;
    case KIND.wait:
      return `has waited until ${name} is not ${shown(operation.operand)}`;
    default:
      return narrateAtomic(operation, name, answer, shown);
  }
}

function narrateAtomic(operation: Operation, name: string, answer: Answer, shown: (value: Word) => string): string {
  const found = `finds ${shown(answer.value)} in ${name}`;
  switch (operation.rule) {
    case 'or':
      return `${found}, sets ${shown(operation.operand)}`;
    case 'andNot':
      return `${found}, clears ${shown(operation.operand)}`;
    case 'and8':
      return `${found}, keeps ${shown(operation.operand)}`;
    case 'compareExchange': {
      const done = answer.value === operation.operand;
      return `${found}, ${done ? `puts ${shown(operation.desired!)}` : `not ${shown(operation.operand)}: leaves it`}`;
    }
    default:
      return `${found}, puts ${shown(operation.operand)}`;
  }
}

/** The name of what an access is of: a byte of the word that holds shift and flags is one of the two. */
function nameOf(cells: Cells, operation: Operation): string {
  const { name } = cells.specs[operation.cell]!;
  if (operation.bytes !== 1) return name;
  return name.replace('tscShift and flags', roleOf(cells, operation));
}

const REQUEST_NAMES = Object.entries(REQUEST);

/** A value as its cell means it. */
export function show(name: string, value: Word): string {
  if (name.startsWith('requests')) return showBits(Number(value), REQUEST_NAMES);
  if (name.startsWith('mode')) return value === 1 ? 'IN_GUEST_MODE' : 'OUTSIDE_GUEST_MODE';
  if (name === 'lock' || name.startsWith('recordLock')) return value === 1 ? 'taken' : 'free';
  if (name.endsWith('tscShift and flags')) return `${(byteOf(value, 0) << 24) >> 24}, ${showFlags(byteOf(value, 1))}`;
  if (name.endsWith('flags')) return showFlags(Number(value));
  return String(value);
}

/** The flags of a record. */
export function showFlags(flags: number): string {
  const stable = (flags & PVCLOCK_TSC_STABLE_BIT) !== 0 ? 'stable' : 'not stable';
  return (flags & PVCLOCK_GUEST_STOPPED) !== 0 ? `${stable}, stopped` : stable;
}

function showBits(value: number, names: readonly (readonly [string, number])[]): string {
  const set = names.filter(([, bit]) => (value & bit) !== 0).map(([name]) => name);
  return set.length === 0 ? 'nothing' : set.join(' and ');
}
