/** Watches one step being taken: who took it, and which operations it has, in words. */
import { type Evidence, evidenceIn } from './judge.ts';
import { narrate } from './narrate.ts';
import { KIND, type Operation } from './operations.ts';
import type { Answer } from './replay.ts';
import type { Actor, Turn } from './schedule.ts';
import type { Event } from './surroundings.ts';
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
  /** What was done and what it was answered; undefined where no thread's function did it. */
  readonly operation: Operation | undefined;
  readonly answer: Answer | undefined;
  /** What it is done to, as the cell is called; undefined where it touches none. */
  readonly cell: string | undefined;
  readonly writes: boolean;
  readonly actor: Actor;
  /** A load done early: which older value; -1 for any other. */
  readonly choice: number;
}

/** What a call has returned, and what it is held against. */
export interface Returned extends Evidence {
  readonly vcpu: number;
  /** u64 ns; undefined: no stable record. */
  readonly ns: bigint | undefined;
  /** The update that its vCPU had been told of when it began ... */
  readonly begunTold: number;
  /** ... and the one that the vCPU it ended on was told of. */
  readonly told: number;
  /** The latest time that any call had returned when it began. */
  readonly latest: bigint | undefined;
}

const ALONE = {
  thread: -1,
  vcpu: -1,
  operation: undefined,
  answer: undefined,
  cell: undefined,
  writes: false,
  choice: -1,
} as const;

export class Recorder implements Watcher {
  actions: Action[] = [];
  /** What the call that ended has returned. */
  ended: Returned | undefined;
  #events: readonly Event[] = [];
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  began(): void {
    this.actions = [];
    this.ended = undefined;
  }

  did(thread: number, node: number, local: number, vcpu: number, choice: number): void {
    const { histories, cells } = this.#world;
    const operation = histories.operation(node);
    const answer = histories.answer(operation, local);
    const { name } = histories.program(node);
    const { kind } = operation;
    this.actions.push({
      who: vcpu >= 0 ? `${name} on vCPU ${vcpu}` : name,
      what: narrate(cells, operation, answer) + (choice >= 0 ? ' (done early)' : ''),
      thread,
      vcpu,
      operation,
      answer,
      cell: cells.specs[operation.cell]?.name,
      writes: kind === KIND.store || kind === KIND.count || kind === KIND.update,
      actor: this.#actorOf(thread, node, vcpu),
      choice,
    });
    if (vcpu >= 0) this.#events = [...histories.events(node), { operation, answer }];
  }

  called(thread: number, node: number, vcpu: number): void {
    const who = `${this.#world.histories.program(node).name} on vCPU ${vcpu}`;
    this.actions.push({ ...ALONE, who, what: 'is called', thread, vcpu, actor: this.#actorOf(thread, node, vcpu) });
  }

  returned(vcpu: number, outcome: number, begunTold: number, told: number, latest: number): void {
    const { outcomes, clocks, cells } = this.#world;
    const { ns } = outcomes.get(outcome);
    const latestNs = latest === 0 ? undefined : clocks.timeOf(latest);
    this.ended = { ...evidenceIn(cells, this.#events), vcpu, ns, begunTold, told, latest: latestNs };
  }

  drained(processor: number, cell: number, value: number): void {
    const { cells, hosts, scenario } = this.#world;
    const { name } = processor < hosts ? scenario.hosts[processor]! : scenario.others[processor - hosts]!;
    const what = `${cells.specs[cell]!.name} = ${cells.value(cell, value)} reaches memory`;
    this.actions.push({ ...ALONE, who: `${name}'s store buffer`, what, actor: { kind: 'buffer', processor } });
  }

  ticked(): void {
    this.actions.push({ ...ALONE, who: 'time', what: 'moves on', actor: { kind: 'time' } });
  }

  /** The step as turns: operations of one actor in a row are one. */
  turns(): Turn[] {
    const turns: { actor: Actor; count: number; choice: number }[] = [];
    for (const { actor, choice } of this.actions) {
      const last = turns.at(-1);
      if (last !== undefined && choice < 0 && sameActor(last.actor, actor)) last.count++;
      else turns.push({ actor, count: 1, choice });
    }
    return turns;
  }

  #actorOf(thread: number, node: number, vcpu: number): Actor {
    const { hosts, others, onceNode } = this.#world;
    if (thread >= hosts + others) return { kind: 'guest', guest: thread - hosts - others, vcpu };
    if (thread >= hosts) return { kind: 'other', index: thread - hosts };
    return onceNode.includes(node) ? { kind: 'once' } : { kind: 'host', vcpu: thread };
  }
}

export function sameActor(a: Actor, b: Actor): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
