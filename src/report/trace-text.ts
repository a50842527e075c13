/** An execution of the checker for people: numbered steps in the threads' own words, both records, and why it is wrong. */

import { isTelling } from '../checker/explain.ts';
import { showFlags } from '../checker/narrate.ts';
import type { RecordState, Step } from '../checker/trace.ts';
import { type Output, styled } from './text.ts';

export interface TraceOptions {
  /** Every operation, also those that no other thread can see. */
  readonly all: boolean;
}

export function traceText(steps: readonly Step[], options: TraceOptions, output: Output): string {
  let shown = '';
  const vcpus = new Map<number, number>();
  return steps
    .map((step, index) => {
      const records = step.records.map(recordText).join('\n');
      const changed = records !== shown && records !== '';
      shown = records;
      const text = stepText(step, index + 1, wasMoved(step, vcpus), options, output);
      return text + (changed ? `${indented(records, output)}\n` : '');
    })
    .join('');
}

/** True where a guest thread is on another vCPU than it was. `vcpus`: where each was last. */
function wasMoved({ turn: { actor } }: Step, vcpus: Map<number, number>): boolean {
  if (actor.kind !== 'guest') return false;
  const before = vcpus.get(actor.guest);
  vcpus.set(actor.guest, actor.vcpu);
  return before !== undefined && before !== actor.vcpu;
}

function stepText(step: Step, number: number, moved: boolean, { all }: TraceOptions, output: Output): string {
  const [first, ...rest] = step.actions;
  if (first === undefined) return '';
  const told = rest.filter((action) => all || isTelling(action));
  const hidden = rest.length - told.length;
  const lines = [
    `${String(number).padStart(3)}. ${styled(output, 'bold', first.who)}${moved ? ', moved there,' : ''} ${first.what}`,
    ...told.map(({ what }) => `     ${' '.repeat(first.who.length)}${what}`),
    ...(hidden === 0 ? [] : [styled(output, 'dim', `     (and ${hidden} more that no other thread can see)`)]),
  ];
  return lines.map((line) => line + '\n').join('');
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
