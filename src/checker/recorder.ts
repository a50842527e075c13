/** Watches one step being taken: who took it, and which operations it has, in words. */
import { narrate } from './narrate.ts';
import type { Actor, Turn } from './schedule.ts';
import type { Watcher } from './watcher.ts';
import type { World } from './world.ts';

/** One operation. */
export interface Action {
  /** `vCPU 1's thread`, or `rfc on vCPU 1`. */
  readonly who: string;
  /** `reads version of record 0: 2`. */
  readonly what: string;
  readonly thread: number;
  /** Where a guest thread ran; -1 for any other. */
  readonly vcpu: number;
}

export class Recorder implements Watcher {
  actions: Action[] = [];
  /** What the call that ended has returned. */
  ended: bigint | 'unstable' | undefined;
  #actor: Actor = { kind: 'time' };
  #choice = -1;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  began(): void {
    this.actions = [];
    this.ended = undefined;
    this.#choice = -1;
  }

  did(thread: number, node: number, local: number, vcpu: number, choice: number): void {
    const { histories, cells, hosts, others, onceNode } = this.#world;
    const operation = histories.operation(node);
    const answer = histories.answer(operation, local);
    const { name } = histories.program(node);
    if (this.actions.length === 0) {
      const guest = thread - hosts - others;
      if (guest >= 0) this.#actor = { kind: 'guest', guest, vcpu };
      else if (thread >= hosts) this.#actor = { kind: 'other', index: thread - hosts };
      else this.#actor = onceNode.includes(node) ? { kind: 'once' } : { kind: 'host', vcpu: thread };
      this.#choice = choice;
    }
    const who = vcpu >= 0 ? `${name} on vCPU ${vcpu}` : name;
    const early = choice >= 0 ? ' (done early)' : '';
    this.actions.push({ who, what: narrate(cells, operation, answer) + early, thread, vcpu });
  }

  called(thread: number, node: number, vcpu: number): void {
    const { histories, hosts, others } = this.#world;
    this.#actor = { kind: 'guest', guest: thread - hosts - others, vcpu };
    this.actions.push({ who: `${histories.program(node).name} on vCPU ${vcpu}`, what: 'is called', thread, vcpu });
  }

  returned(_guest: number, outcome: number): void {
    this.ended = this.#world.outcomes.get(outcome).ns ?? 'unstable';
  }

  drained(processor: number, cell: number, value: number): void {
    const { cells, hosts, scenario } = this.#world;
    this.#actor = { kind: 'buffer', processor };
    const { name } = processor < hosts ? scenario.hosts[processor]! : scenario.others[processor - hosts]!;
    const what = `${cells.specs[cell]!.name} = ${cells.value(cell, value)} reaches memory`;
    this.actions.push({ who: `${name}'s store buffer`, what, thread: -1, vcpu: -1 });
  }

  ticked(): void {
    this.#actor = { kind: 'time' };
    this.actions.push({ who: 'time', what: 'moves on', thread: -1, vcpu: -1 });
  }

  turn(): Turn {
    return { actor: this.#actor, count: this.actions.length, choice: this.#choice };
  }
}
