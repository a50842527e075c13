/**
 * The histories of all threads as one trie: a node is "the answers so far", an edge is one answer more. What a thread does
 * next is a function of its node, so a function is run only where a node is new; after that exploring is table look-up.
 *
 *   node --answer--> node        op[node]: the operation that is open there
 *
 * Answers are numbered small by operation: a load's by the value of its cell, so the search looks an edge up with what it
 * finds in a state, without asking what that stands for.
 */
import type { Cells } from './cells.ts';
import { KIND, type Operation, type Operations } from './operations.ts';
import { type Answer, NO_ANSWER, type Program, type ReplayCpu, viewOf } from './replay.ts';
import { type NumberedRun, Retries } from './retries.ts';
import type { Event, Surroundings } from './surroundings.ts';

/** Set in an edge that goes back to the head of a retry loop. */
export const RETRY = 1 << 29;
export const NODE_MASK = RETRY - 1;

/** The node of a guest thread between two calls. */
export const IDLE_NODE = 0;

const ANSWERED_BY_SURROUNDINGS = new Set<number>([
  KIND.vcpu,
  KIND.pin,
  KIND.rdtsc,
  KIND.rdtscAnyTime,
  KIND.hostTsc,
  KIND.hostNs,
  KIND.hostSample,
]);

const NOTHING: Program = { name: 'nothing', run: () => undefined };

export class Histories {
  /** Of each node: its operation, and where its edges lie in the pool; 0 there is an edge not yet known. */
  op = new Int32Array(1024);
  edgeBase = new Int32Array(1024);
  edgeCount = new Int32Array(1024);
  edges = new Int32Array(8192);
  /** Of each node: the vCPU that its call may not leave, -1 for any. */
  pin = new Int32Array(1024);
  /** Of each node: 1 where the call has read the TSC and passed no fence since. */
  afterTsc = new Int32Array(1024);
  count = 0;
  readonly operations: Operations;
  readonly #cells: Cells;
  readonly #cpu: ReplayCpu;
  readonly #keptRounds: number;
  readonly #surroundings: Surroundings;
  readonly #nodes: { program: Program; parent: number; answer: Answer | undefined }[] = [];
  readonly #children = new Map<number, Map<string, number>>();
  readonly #roots = new Map<Program, number>();
  readonly #ends = new Map<number, number>();
  readonly #retries: Retries;
  #edgesUsed = 0;

  /** `keptRounds`: failed rounds that are not cut, so that a call's history may have as many. */
  constructor(cells: Cells, operations: Operations, cpu: ReplayCpu, keptRounds: number, surroundings: Surroundings) {
    this.#cells = cells;
    this.operations = operations;
    this.#cpu = cpu;
    this.#keptRounds = keptRounds;
    this.#surroundings = surroundings;
    this.#retries = new Retries(operations, (program, answers) => this.#run(program, answers));
    this.end(0);
  }

  /** The node of a thread that has come to its end with this outcome. */
  end(outcome: number): number {
    const known = this.#ends.get(outcome);
    if (known !== undefined) return known;
    const op = this.operations.intern({ kind: KIND.end, cell: -1, bytes: 0, offset: 0, operand: outcome, stamp: 0 });
    const node = this.#add(NOTHING, -1, undefined, op);
    this.#ends.set(outcome, node);
    return node;
  }

  /** The node at which a call of `program` begins. */
  root(program: Program): number {
    const known = this.#roots.get(program);
    if (known !== undefined) return known;
    const run = this.#run(program, []);
    const root = this.#add(program, -1, undefined, this.#openOf(program, run, []));
    this.#roots.set(program, root);
    return root;
  }

  /** The node behind `node` on the answer numbered `local`; with RETRY set where that answer made the loop go round. */
  next(node: number, local: number): number {
    if (local < this.edgeCount[node]!) {
      const child = this.edges[this.edgeBase[node]! + local]!;
      if (child !== 0) return child;
    }
    return this.#extend(node, local);
  }

  program(node: number): Program {
    return this.#nodes[node]!.program;
  }

  operation(node: number): Operation {
    return this.operations.get(this.op[node]!);
  }

  /** The call so far. */
  events(node: number): Event[] {
    const events: Event[] = [];
    for (let at = node; this.#nodes[at]!.parent >= 0; at = this.#nodes[at]!.parent) {
      const parent = this.#nodes[at]!.parent;
      events.push({ operation: this.operation(parent), answer: this.#nodes[at]!.answer! });
    }
    return events.reverse();
  }

  /** The answer numbered `local` to `operation`. */
  answer(operation: Operation, local: number): Answer {
    const { kind, cell } = operation;
    if (kind === KIND.load || kind === KIND.update) {
      const value = viewOf(operation, this.#cells.value(cell, local));
      return { ...NO_ANSWER, value, stamp: this.#cells.stamp(cell, local) };
    }
    if (kind === KIND.count) return { ...NO_ANSWER, stamp: this.#cells.stamp(cell, local) + 1 };
    return ANSWERED_BY_SURROUNDINGS.has(kind) ? this.#surroundings.answer(operation, local) : NO_ANSWER;
  }

  #extend(node: number, local: number): number {
    const answer = this.answer(this.operation(node), local);
    const key = `${answer.value} ${answer.stamp} ${answer.vcpu} ${answer.expected}`;
    let siblings = this.#children.get(node);
    if (siblings === undefined) {
      siblings = new Map();
      this.#children.set(node, siblings);
    }
    let child = siblings.get(key);
    if (child === undefined) {
      child = this.#grow(node, answer);
      siblings.set(key, child);
    }
    this.#setEdge(node, local, child);
    return child;
  }

  /** Runs the function on a history never seen: a new node, or the head of the loop that it goes round. */
  #grow(node: number, answer: Answer): number {
    const { program } = this.#nodes[node]!;
    const path = this.#path(node);
    const answers = [...this.#answersTo(node), answer];
    const ops = path.map((at) => this.op[at]!);
    const run = this.#run(program, answers);
    if (run.unused > 0 || !run.answered.every((operation, place) => this.operations.is(ops[place]!, operation))) {
      throw new Error(`${program.name} did something else on the same answers: it keeps state outside its call`);
    }
    const goesRound = run.open !== undefined && run.relaxed.at(-1) === answers.length;
    if (goesRound && run.relaxed.length > this.#keptRounds) {
      const place = this.#retries.headOf(program, answers, ops, run);
      const head = path[place]!;
      this.#retries.register(program, head, answers.slice(0, place), answers, this.#below(head));
      return head | RETRY;
    }
    const child = this.#add(program, node, answer, this.#openOf(program, run, answers));
    path.forEach((head, place) => {
      this.#retries.compare(program, head, answers.slice(place), run);
    });
    return goesRound ? child | RETRY : child;
  }

  #run(program: Program, answers: readonly Answer[]): NumberedRun {
    const run = this.#cpu.run(program, answers);
    return { ...run, openId: run.open === undefined ? -1 : this.operations.intern(run.open) };
  }

  /** The nodes from the root to `node`. */
  #path(node: number): number[] {
    const path: number[] = [];
    for (let at = node; at >= 0; at = this.#nodes[at]!.parent) path.push(at);
    return path.reverse();
  }

  #answersTo(node: number): Answer[] {
    return this.events(node).map((event) => event.answer);
  }

  /** Of each known node behind `head`, the answers that lead there from `head`. */
  *#below(head: number): Generator<readonly Answer[]> {
    for (const reached of this.#children.get(head)?.values() ?? []) {
      const child = reached & NODE_MASK;
      if ((reached & RETRY) !== 0) continue;
      const answer = this.#nodes[child]!.answer!;
      yield [answer];
      for (const rest of this.#below(child)) yield [answer, ...rest];
    }
  }

  #openOf(program: Program, run: NumberedRun, answers: readonly Answer[]): number {
    if (run.open !== undefined) return run.openId;
    const events = run.answered.map((operation, index) => ({ operation, answer: answers[index]! }));
    const operand = this.#surroundings.outcome(program, events, run.returned);
    return this.operations.intern({ kind: KIND.done, cell: -1, bytes: 0, offset: 0, operand, stamp: 0 });
  }

  #add(program: Program, parent: number, answer: Answer | undefined, op: number): number {
    const node = this.#nodes.push({ program, parent, answer }) - 1;
    if (node === this.op.length) {
      this.op = longer(this.op);
      this.edgeBase = longer(this.edgeBase);
      this.edgeCount = longer(this.edgeCount);
      this.pin = longer(this.pin);
      this.afterTsc = longer(this.afterTsc);
    }
    this.op[node] = op;
    this.pin[node] = this.#pinOf(parent, answer);
    this.afterTsc[node] = this.#afterTscOf(parent);
    this.count = node + 1;
    this.#surroundings.used(program, this.operations.get(op));
    return node;
  }

  #pinOf(parent: number, answer: Answer | undefined): number {
    if (parent < 0) return -1;
    return this.operation(parent).kind === KIND.pin ? Number(answer!.value) : this.pin[parent]!;
  }

  #afterTscOf(parent: number): number {
    if (parent < 0) return 0;
    const { kind } = this.operation(parent);
    if (kind === KIND.rdtsc || kind === KIND.rdtscAnyTime) return 1;
    return kind === KIND.loadFence || kind === KIND.tscFence ? 0 : this.afterTsc[parent]!;
  }

  #setEdge(node: number, local: number, child: number): void {
    const count = this.edgeCount[node]!;
    if (local >= count) {
      const base = this.#edgesUsed;
      this.#edgesUsed += local + 1;
      while (this.#edgesUsed > this.edges.length) this.edges = longer(this.edges);
      this.edges.copyWithin(base, this.edgeBase[node]!, this.edgeBase[node]! + count);
      this.edgeBase[node] = base;
      this.edgeCount[node] = local + 1;
    }
    this.edges[this.edgeBase[node]! + local] = child;
  }
}

function longer(array: Int32Array): Int32Array<ArrayBuffer> {
  const twice = new Int32Array(array.length * 2);
  twice.set(array);
  return twice;
}
