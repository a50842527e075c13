/** An execution of the checker for people: numbered steps in the threads' own words, both records, and why it is wrong. */

import { showFlags } from '../checker/narrate.ts';
import type { PropertyName, WitnessName } from '../checker/properties.ts';
import type { Action, Returned } from '../checker/recorder.ts';
import type { RecordState, Step } from '../checker/trace.ts';
import { type Output, styled } from './text.ts';

export interface TraceOptions {
  /** Every operation, also those that no other thread can see. */
  readonly all: boolean;
}

/** The words that a step is shown with even where no other thread can see them being written. */
const TELLING = /^(record \d|tscOffset|requests|mode)/;

export function traceText(steps: readonly Step[], options: TraceOptions, output: Output): string {
  let shown = '';
  return steps
    .map((step, index) => {
      const records = step.records.map(recordText).join('\n');
      const changed = records !== shown && records !== '';
      shown = records;
      return stepText(step, index + 1, options, output) + (changed ? `${indented(records, output)}\n` : '');
    })
    .join('');
}

function stepText(step: Step, number: number, { all }: TraceOptions, output: Output): string {
  const [first, ...rest] = step.actions;
  if (first === undefined) return '';
  const told = rest.filter((action) => all || isTelling(action));
  const hidden = rest.length - told.length;
  const lines = [
    `${String(number).padStart(3)}. ${styled(output, 'bold', first.who)} ${first.what}`,
    ...told.map(({ what }) => `     ${' '.repeat(first.who.length)}${what}`),
    ...(hidden === 0 ? [] : [styled(output, 'dim', `     (and ${hidden} more that no other thread can see)`)]),
  ];
  return lines.map((line) => line + '\n').join('');
}

function isTelling({ cell, writes, what }: Action): boolean {
  return cell === undefined ? what.includes('the guest') : writes && TELLING.test(cell);
}

function recordText({ vcpu, version, flags, systemTime, tscTimestamp, update }: RecordState): string {
  const state = (version & 1) === 1 ? 'being written' : showFlags(flags);
  return `record ${vcpu}: version ${version}, ${state}, ${systemTime} ns at TSC ${tscTimestamp}, of update ${update}`;
}

function indented(text: string, output: Output): string {
  return text
    .split('\n')
    .map((line) => styled(output, 'dim', `       | ${line}`))
    .join('\n');
}

/** A step as scripts see it. */
export function stepShape({ actions, records, told, found, returned }: Step): object {
  const said = actions.map(({ who, what }) => ({ who, what }));
  return { actions: said, records, told: told.map((update) => update ?? null), found, returned: returned ?? null };
}

/** What the last call returned, and what that is held against. */
export function whyText(property: PropertyName | WitnessName, { returned }: Step): string {
  if (returned === undefined) return '';
  const { vcpu, ns, begunTold, told, bit, expected, latest } = returned;
  const time = ns === undefined ? 'found no stable record' : `returned ${ns} ns`;
  const call = `The call ended on vCPU ${vcpu} and ${time}.`;
  switch (property) {
    case 'stale-begin':
      return `${call} It began on a vCPU that was told of update ${begunTold}; the stable bit that it used is of update ${bit}.`;
    case 'stale-use':
      return `${call} vCPU ${vcpu} was told of update ${told}; the stable bit that it used is of update ${bit}.`;
    case 'own':
      return `${call} The record of the vCPU whose TSC it read gives ${expected} ns for that TSC.`;
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
