/** An execution, to be stepped through: forward, back, or to any step of it. */
import { configurationText, whyText } from '../../src/checker/explain.ts';
import type { Mutants } from '../../src/checker/mutants.ts';
import { ALWAYS } from '../../src/checker/properties.ts';
import { parseReplay } from '../../src/checker/replay-string.ts';
import { type Moment, retrace } from '../../src/checker/retrace.ts';
import { scenarioOf } from '../../src/checker/scenarios.ts';
import { perform, type Step } from '../../src/checker/trace.ts';
import { byId, element, setText } from '../dom.ts';
import { type Buffers, buffersBehind } from './buffers.ts';
import { drawLanes } from './lanes.ts';
import { showSource } from './source.ts';
import { showState } from './state.ts';

interface Shown {
  readonly reader: string;
  readonly steps: readonly Step[];
  readonly moments: readonly Moment[];
  readonly buffered: boolean;
  readonly buffers: readonly Buffers[];
}

export class TraceView {
  readonly #range = byId<HTMLInputElement>('race-step');
  readonly #all = byId<HTMLInputElement>('race-all');
  #shown: Shown | undefined;
  #mark: (index: number) => void = () => {};

  constructor() {
    const to = (id: string, index: () => number) => byId(id).addEventListener('click', () => this.#go(index()));
    to('race-first', () => 0);
    to('race-back', () => this.#at - 1);
    to('race-forward', () => this.#at + 1);
    to('race-last', () => this.#steps.length - 1);
    this.#range.addEventListener('input', () => this.#go(this.#at));
    this.#all.addEventListener('change', () => this.#draw());
  }

  /** Opens what a replay string says, at its first step. Throws RangeError where it is none, or cannot be stepped. */
  open(replay: string, mutants?: Mutants): void {
    const { configuration, schedule } = parseReplay(replay);
    const scenario = scenarioOf(configuration, mutants);
    const steps = perform(scenario, schedule);
    if (steps.length === 0) throw new RangeError('it has no steps');
    const { reader, memory } = configuration;
    const buffered = memory === 'tso';
    this.#shown = {
      reader,
      steps,
      moments: retrace(scenario, steps),
      buffered,
      buffers: buffersBehind(steps, buffered),
    };
    const found = steps.at(-1)!.found;
    const broken = ALWAYS.filter(({ name }) => found.includes(name)).map(({ name }) => name);
    setText(byId('race-trace-title'), `${broken.join(', ') || found.join(', ')}: ${steps.length} steps`);
    setText(byId('race-trace-what'), configurationText({ configuration }));
    byId('race-why').replaceChildren(...reasons(steps.at(-1)!));
    setText(byId('race-replay'), `kvmclock replay '${replay}'`);
    byId('race-buffers-box').hidden = !buffered;
    byId('race-trace').hidden = false;
    this.#range.max = String(steps.length);
    this.#range.value = '1';
    this.#draw();
  }

  close(): void {
    byId('race-trace').hidden = true;
  }

  get #steps(): readonly Step[] {
    return this.#shown?.steps ?? [];
  }

  get #at(): number {
    return Number(this.#range.value) - 1;
  }

  #draw(): void {
    const { steps, buffered } = this.#shown!;
    this.#mark = drawLanes(steps, this.#all.checked, buffered, (index) => this.#go(index));
    this.#go(this.#at);
  }

  #go(wanted: number): void {
    const { steps, moments, buffers, reader } = this.#shown!;
    const index = Math.max(0, Math.min(steps.length - 1, wanted));
    const step = steps[index]!;
    this.#range.value = String(index + 1);
    this.#range.setAttribute(
      'aria-valuetext',
      `step ${index + 1} of ${steps.length}: ${step.actions[0]?.who} ${step.actions[0]?.what}`,
    );
    setText(byId('race-at'), `step ${index + 1} of ${steps.length}`);
    const focused = document.activeElement;
    for (const id of ['race-first', 'race-back']) byId<HTMLButtonElement>(id).disabled = index === 0;
    for (const id of ['race-forward', 'race-last']) byId<HTMLButtonElement>(id).disabled = index === steps.length - 1;
    if (focused instanceof HTMLButtonElement && focused.disabled) this.#range.focus(); // what is disabled has no keyboard
    this.#mark(index);
    showState(step, steps[index - 1], buffers[index]!);
    const moment = moments.findLast((one) => one.step === index);
    void showSource(reader, moment?.places ?? []);
    setText(byId('race-outlook'), outlookText(step, moment));
  }
}

function outlookText({ returned }: Step, moment: Moment | undefined): string {
  if (moment === undefined) return 'No guest moves in this step.';
  const { outlook, ownNs, vcpu } = moment;
  const own = ownNs === undefined ? '' : ` The record of vCPU ${vcpu} itself gives ${ownNs} ns.`;
  if (returned !== undefined) {
    return `The call has returned ${returned.ns === undefined ? 'that the record is not stable' : `${returned.ns} ns`}.${own}`;
  }
  switch (outlook) {
    case 'not stable':
      return `Left alone from here, the call would find no stable record, and ask the kernel.${own}`;
    case 'goes round':
      return `Left alone from here, the call would go round until the record has been written.${own}`;
    case 'unknown':
      return 'What the call would return, left alone from here, cannot be told.';
    default:
      return `Left alone from here, the call would return ${outlook} ns.${own}`;
  }
}

/** What is broken, and by what. */
function reasons(step: Step): HTMLElement[] {
  const broken = ALWAYS.filter(({ name }) => step.found.includes(name));
  return broken.map(({ name, says }) =>
    element('li', {}, element('b', {}, name), `. Promised: ${says}. Here: ${whyText(name, step)}`),
  );
}
