/** What the checker has to say, in the words that the command and the page share. */
import type { Finding } from './check.ts';
import type { PropertyName, WitnessName } from './properties.ts';
import type { Action, Returned } from './recorder.ts';
import type { Configuration } from './scenarios.ts';
import type { Step } from './trace.ts';

/** One line for people: `rfc under kvm, writer today, update unstable, memory sc: 2 vCPUs, 1 thread, 1 call`. */
export function configurationText({ configuration }: { readonly configuration: Configuration }): string {
  const { reader, host, writer, update, memory } = configuration;
  return `${reader} under ${host}, writer ${writer}, update ${update}, memory ${memory}: ${sizesText(configuration)}`;
}

/** `2 vCPUs, 1 thread, 1 call`, and whatever else is not as usual. */
export function sizesText(configuration: Configuration): string {
  const { vcpus, threads, calls, updaters, updates, ticks, kernel, early, mutation } = configuration;
  const all = [
    counted(vcpus, 'vCPU'),
    counted(threads, 'thread'),
    counted(calls, 'call') + (threads > 1 ? ' each' : ''),
    ...(updaters === 1 ? [] : [counted(updaters, 'updater')]),
    ...(updates === 1 ? [] : [counted(updates, 'update') + (updaters > 1 ? ' each' : '')]),
    ...(ticks === 0 ? [] : [counted(ticks, 'tick')]),
    ...(kernel === 'none' ? [] : [`the kernel's reads ${kernel === 'mixed' ? 'mixed in' : 'as the fallback'}`]),
    ...(early === undefined ? [] : [`loads early (${early})`]),
    ...(mutation === undefined ? [] : [`mutation ${mutation}`]),
  ];
  return all.join(', ');
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** A letter for each property: what a cell of the matrix has. */
export const LETTERS: Readonly<Record<PropertyName, string>> = {
  torn: 'T',
  mixed: 'M',
  backwards: 'B',
  'stale-begin': 'S',
  'stale-use': 'U',
  own: 'O',
};

/** Of several violations the one to show first: the race if it is one of them, else that with the shortest trace. */
export function mostTelling(violated: readonly Finding[]): Finding | undefined {
  const shortest = violated.toSorted((a, b) => a.steps - b.steps)[0];
  return violated.find(({ property }) => property === 'stale-begin') ?? shortest;
}

/** The words that a step is shown with even where no other thread can see them being written. */
const TELLING = /^(record \d|tscOffset|requests|mode)/;

/** Whether an operation is worth its line where only those are shown that matter. */
export function isTelling({ cell, writes, what }: Action): boolean {
  return cell === undefined ? what.includes('the guest') : writes && TELLING.test(cell);
}

/** What the last call returned, and what that is held against. */
export function whyText(property: PropertyName | WitnessName, { returned }: Step): string {
  if (returned === undefined) return '';
  const { vcpu, ns, begunTold, told, bit, expected, latest, tscVcpu } = returned;
  const time = ns === undefined ? 'found no stable record' : `returned ${ns} ns`;
  const call = `The call ended on vCPU ${vcpu} and ${time}.`;
  switch (property) {
    case 'stale-begin':
      return `${call} It began on a vCPU that was told of update ${begunTold}; the stable bit that it used is of update ${bit}.`;
    case 'stale-use':
      return `${call} vCPU ${vcpu} was told of update ${told}; the stable bit that it used is of update ${bit}.`;
    case 'own':
      return tscVcpu === vcpu
        ? `${call} The record of the vCPU whose TSC it read gives ${expected} ns for that TSC.`
        : `${call} Its thread had been moved: it read the TSC of vCPU ${tscVcpu}, whose record gives ${expected} ns for that.`;
    case 'backwards':
      return `${call} When it began, another call had returned ${latest} ns.`;
    case 'torn':
      return `${call} Its words: ${stampsText(returned)}.`;
    case 'mixed':
      return `${call} The stable bit is of update ${bit}. Its words: ${stampsText(returned)}.`;
    default:
      return call;
  }
}

function stampsText({ stamps }: Returned): string {
  return Object.entries(stamps)
    .map(([role, update]) => `${role} of update ${update}`)
    .join(', ');
}
