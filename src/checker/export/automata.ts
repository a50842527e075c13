/**
 * The threads of a scenario as automata, gathered from what was explored: a node is a history, an edge an answer.
 *
 *   node: what the thread does there --answer--> node
 *
 * Several explorations may add to the same automata, so values, outcomes and readings of the TSC are numbered anew here. Whether an
 * edge is missing is not known from here: whoever runs the automata must take an answer with no edge for an error.
 */
import type { Word } from '../cells.ts';
import { NODE_MASK, RETRY } from '../histories.ts';
import { KIND, type Operation } from '../operations.ts';
import type { Answer, Program } from '../replay.ts';
import type { Outcome, Scenario } from '../scenario.ts';
import type { World } from '../world.ts';

/** The node at which a thread has nothing left to do, or is between two calls. No edge leads here. */
export const END = 0;

export interface Edge {
  readonly to: number;
  /** A loop goes round: `to` is its head. */
  readonly retry: boolean;
  /** The number of what an operation that reads and writes leaves in its cell. */
  readonly left: number;
}

export interface Node {
  readonly program: Program | undefined;
  readonly operation: Operation;
  /** The number of the value that is stored or waited on; where the program has returned, that of its outcome. */
  readonly value: number;
  /** The vCPU that the call may not leave, -1 for any. */
  readonly pin: number;
  /** By the answer's number: a value's in its cell, a reading's, a vCPU's, a tick's; 0 where there is but one. */
  readonly edges: (Edge | undefined)[];
  readonly children: Map<string, number>;
}

interface Value {
  readonly value: Word;
  readonly stamp: number;
}

export class Automata {
  readonly nodes: Node[] = [];
  /** By cell: what it may hold, the first value first. */
  readonly values: Value[][] = [];
  readonly outcomes: Outcome[] = [];
  /** Every reading of a TSC: its value, the vCPU, and what that vCPU's record makes of it. */
  readonly readings: Answer[] = [];
  readonly #roots = new Map<Program, number>();

  constructor() {
    const operation = { kind: KIND.end, cell: -1, bytes: 0, offset: 0, operand: 0, stamp: 0 };
    this.nodes.push({ program: undefined, operation, value: 0, pin: -1, edges: [], children: new Map() });
  }

  /** The node at which `program`, of a world that was added, begins. */
  root(program: Program): number {
    return this.#roots.get(program)!;
  }

  /** Takes over what an exploration has come to know. */
  add(world: World): void {
    world.scenario.cells.forEach((_, cell) => {
      this.values[cell] ??= [{ value: world.cells.value(cell, 0), stamp: world.cells.stamp(cell, 0) }];
    });
    for (const program of programsOf(world.scenario)) {
      const theirs = world.histories.root(program);
      const ours = this.#roots.get(program) ?? this.#newNode(world, theirs);
      this.#roots.set(program, ours);
      this.#merge(world, theirs, ours, new Map([[theirs, ours]]));
    }
  }

  /** `ours`: by the world's nodes on the way here and behind it, those that stand for them. */
  #merge(world: World, theirs: number, node: number, ours: Map<number, number>): void {
    const { histories, operations } = world;
    const { operation, edges, children } = this.nodes[node]!;
    const writes = operation.kind === KIND.count || operation.kind === KIND.update;
    for (let local = 0; local < histories.edgeCount[theirs]!; local++) {
      const edge = histories.edges[histories.edgeBase[theirs]! + local]!;
      if (edge === 0) continue;
      const answer = histories.answer(operation, local);
      const retry = edge >= RETRY;
      const target = edge & NODE_MASK;
      const key = contentOf(answer);
      const to = ours.get(target) ?? children.get(key) ?? this.#newNode(world, target);
      const left = writes ? this.#valueOf(world, operation.cell, operations.result(histories.op[theirs]!, local)) : 0;
      edges[this.#number(world, operation, answer, local)] = { to, retry, left };
      if (ours.has(target)) continue;
      children.set(key, to);
      ours.set(target, to);
      this.#merge(world, target, to, ours);
    }
  }

  #newNode(world: World, theirs: number): number {
    const { histories, operations, outcomes } = world;
    const operation = histories.operation(theirs);
    const { kind, cell, operand } = operation;
    let value = 0;
    if (kind === KIND.store || kind === KIND.wait) {
      value = this.#valueOf(world, cell, operations.value[histories.op[theirs]!]!);
    } else if (kind === KIND.done) {
      value = numberIn(this.outcomes, outcomes.get(Number(operand)), (outcome) => Object.values(outcome).join());
    }
    const program = histories.program(theirs);
    const pin = histories.pin[theirs]!;
    return this.nodes.push({ program, operation, value, pin, edges: [], children: new Map() }) - 1;
  }

  #number(world: World, { kind, cell }: Operation, answer: Answer, local: number): number {
    if (cell >= 0) return kind === KIND.store || kind === KIND.wait ? 0 : this.#valueOf(world, cell, local);
    return kind === KIND.rdtsc ? numberIn(this.readings, answer, contentOf) : local;
  }

  #valueOf({ cells }: World, cell: number, local: number): number {
    const held = { value: cells.value(cell, local), stamp: cells.stamp(cell, local) };
    return numberIn(this.values[cell]!, held, ({ value, stamp }) => `${value} ${stamp}`);
  }
}

/** What the thread is told, and what is known besides. */
export function contentOf({ value, stamp, vcpu, expected }: Answer): string {
  return `${value} ${stamp} ${vcpu} ${expected}`;
}

function numberIn<Item>(list: Item[], item: Item, content: (item: Item) => string): number {
  const wanted = content(item);
  const at = list.findIndex((other) => content(other) === wanted);
  return at >= 0 ? at : list.push(item) - 1;
}

function programsOf({ hosts, once, others, guests }: Scenario): Set<Program> {
  const programs = new Set([...hosts, ...once.map(({ program }) => program), ...guests.flat()]);
  for (const other of others)
    for (let at: Program | undefined = other; at !== undefined; at = at.next) programs.add(at);
  return programs;
}
