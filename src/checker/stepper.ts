/**
 * From a state to its successors: who moves, and where one step ends.
 *
 * There move the vCPUs' own threads, other threads of the hypervisor, guest threads on any vCPU in guest mode, store
 * buffers, and the host's time. One step of a thread is one operation that others can notice, with the private ones behind it.
 */
import type { Fields } from './fields.ts';
import { IDLE_NODE } from './histories.ts';
import { KIND } from './operations.ts';
import { BLOCKED, Successor } from './successor.ts';
import type { World } from './world.ts';

/** Takes a successor of the state in hand; it is overwritten by the next one. `found`: what the step has shown. */
export type Sink = (next: Int32Array, found: number) => void;

/** Private operations in one step; a loop of them that calls no relax() would never end. */
const MOST_PRIVATE = 1000;

const RUNS_ON = -2;

export class Stepper {
  /** The successor in hand; the state to expand is put into its `current`. */
  readonly to: Successor;
  readonly #world: World;
  readonly #sink: Sink;
  readonly #inGuest: Int32Array;
  #inGuestCount = 0;

  constructor(world: World, fields: Fields, sink: Sink) {
    this.#world = world;
    this.#sink = sink;
    this.to = new Successor(world, fields);
    this.#inGuest = new Int32Array(world.hosts);
  }

  /** The state in which everything begins: no thread has done anything, every vCPU is out of the guest. */
  initial(): Int32Array {
    const { layout, firstNodes } = this.#world;
    this.to.next.fill(0);
    for (let thread = 0; thread < firstNodes.length; thread++) this.to.put(layout.node[thread]!, firstNodes[thread]!);
    return this.to.next;
  }

  /** Hands every successor of the current state to the sink. Throws WIDEN where one does not fit its fields. */
  expand(): void {
    const { hosts, others, guests, buffered, ticks, layout } = this.#world;
    this.#findInGuest();
    for (let vcpu = 0; vcpu < hosts; vcpu++) this.#stepHost(vcpu);
    for (let thread = hosts; thread < hosts + others; thread++) {
      this.to.begin();
      this.#move(thread, this.to.now(layout.node[thread]!));
    }
    if (this.#inGuestCount > 0) for (let guest = 0; guest < guests; guest++) this.#stepGuest(guest);
    if (buffered) {
      for (let processor = 0; processor < hosts + others; processor++) {
        if (this.to.drain(processor)) this.#done();
      }
    }
    if (ticks > 0 && this.to.tick()) this.#done();
  }

  #done(): void {
    this.#sink(this.to.next, this.to.found);
  }

  #findInGuest(): void {
    const { hosts, histories, operations, layout } = this.#world;
    this.#inGuestCount = 0;
    for (let vcpu = 0; vcpu < hosts; vcpu++) {
      const node = this.to.now(layout.node[vcpu]!);
      if (operations.kind[histories.op[node]!] === KIND.guest) this.#inGuest[this.#inGuestCount++] = vcpu;
    }
  }

  #stepHost(vcpu: number): void {
    const { layout, firstNodes, onceVcpu, onceNode } = this.#world;
    const node = this.to.now(layout.node[vcpu]!);
    this.to.begin();
    this.#move(vcpu, node);
    if (node !== firstNodes[vcpu]) return;
    for (let index = 0; index < onceVcpu.length; index++) {
      if (onceVcpu[index] !== vcpu || this.to.now(layout.once[index]!) !== 0) continue;
      this.to.begin();
      this.to.put(layout.once[index]!, 1);
      this.#move(vcpu, onceNode[index]!);
    }
  }

  /** One step of a thread with a processor of its own; handed on unless it is blocked. */
  #move(thread: number, node: number): void {
    const { layout, operations, histories, visibility, hosts, firstNodes, leavesAtOnce, buffered } = this.#world;
    const to = this.to;
    const kind = operations.kind[histories.op[node]!]!;
    if (kind === KIND.end) return;
    let at = to.execute(thread, thread, -1, node);
    if (at === BLOCKED) return;
    // Leaving the guest only ends what guests can do there: one step with the operation behind it.
    let goOn = kind === KIND.guest && leavesAtOnce;
    let behind = -1; // the private operation that was done last
    for (let done = 0; ; done++) {
      const op = histories.op[at]!;
      if (operations.kind[op] === KIND.done) {
        const { next } = histories.program(at);
        if (thread < hosts) at = firstNodes[thread]!;
        else at = next === undefined ? histories.end(operations.value[op]!) : histories.root(next);
        break;
      }
      if (operations.kind[op] === KIND.guest) {
        to.tell(thread);
        if (behind >= 0) visibility.enteredBehind(behind, thread);
        break;
      }
      if (buffered) to.drainOwn(thread);
      if (!goOn && !visibility.isPrivate(op, thread)) break;
      behind = goOn ? -1 : op;
      goOn = false;
      const after = to.execute(thread, thread, -1, at);
      if (after === BLOCKED) break;
      const goesRound = isBack(at, after);
      at = after;
      if (goesRound) break;
      if (done > MOST_PRIVATE) {
        throw new Error(`${histories.program(at).name}: a loop on what nobody else changes calls no relax()`);
      }
    }
    to.put(layout.node[thread]!, at);
    this.#done();
  }

  #stepGuest(guest: number): void {
    const { layout, histories, operations, callNodes, buffered, hosts, others, early, anyVcpu } = this.#world;
    const to = this.to;
    const thread = hosts + others + guest;
    let node = to.now(layout.node[thread]!);
    const begins = node === IDLE_NODE;
    if (begins) {
      const calls = callNodes[guest]!;
      const call = to.now(layout.calls[guest]!);
      if (call === calls.length) return;
      node = calls[call]!;
      if (early?.beginsFirst) {
        this.#beginCall(guest, thread, node);
        return;
      }
    }
    const op = histories.op[node]!;
    const pin = histories.pin[node]!;
    const cell = operations.cell[op]!;
    // A plain load is the same from every vCPU; only what its end shows may differ.
    const alike =
      anyVcpu &&
      operations.kind[op] === KIND.load &&
      !begins &&
      !buffered &&
      early === undefined &&
      to.watcher === undefined;
    for (let index = 0; index < this.#inGuestCount; index++) {
      const vcpu = this.#inGuest[index]!;
      if (pin >= 0 && pin !== vcpu) continue;
      const older = early === undefined ? 0 : early.choices(to, guest, vcpu, node, cell, begins);
      for (let choice = -1; choice < older; choice++) {
        to.begin();
        if (begins) to.beginCall(guest, vcpu);
        if (choice >= 0) to.pick(guest, cell, choice);
        const ended = this.#moveGuest(guest, thread, vcpu, node);
        if (ended === BLOCKED) continue;
        if (alike && ended >= 0) this.#checkUseElsewhere(ended, index);
        this.#done();
      }
      if (alike) return;
    }
  }

  /** Where loads may be done early it matters since when: the beginning of a call is a step of its own. */
  #beginCall(guest: number, thread: number, node: number): void {
    const { layout } = this.#world;
    for (let index = 0; index < this.#inGuestCount; index++) {
      const vcpu = this.#inGuest[index]!;
      this.to.begin();
      this.to.beginCall(guest, vcpu);
      this.to.put(layout.node[thread]!, node);
      if (this.to.watcher !== undefined) this.to.watcher.called(thread, node, vcpu);
      this.#done();
    }
  }

  #checkUseElsewhere(outcome: number, index: number): void {
    for (let other = index + 1; other < this.#inGuestCount; other++) this.to.checkUse(outcome, this.#inGuest[other]!);
  }

  /** One step of a guest thread on `vcpu`. Returns the outcome of the call that it ends, BLOCKED, or RUNS_ON. */
  #moveGuest(guest: number, thread: number, vcpu: number, node: number): number {
    const { layout, histories, operations, visibility } = this.#world;
    const to = this.to;
    let at = to.execute(thread, vcpu, vcpu, node);
    if (at === BLOCKED) return BLOCKED;
    for (;;) {
      const op = histories.op[at]!;
      if (operations.kind[op] === KIND.done) {
        const outcome = operations.value[op]!;
        to.endCall(guest, vcpu, outcome);
        to.put(layout.node[thread]!, IDLE_NODE);
        return outcome;
      }
      if (!visibility.isPrivate(op, thread)) break;
      const after = to.execute(thread, vcpu, vcpu, at);
      if (after === BLOCKED) break;
      const goesRound = isBack(at, after);
      at = after;
      if (goesRound) break;
    }
    to.put(layout.node[thread]!, at);
    return RUNS_ON;
  }
}

/** True where a loop goes round: a history that is longer has a node with a larger number. Only others can end such a loop. */
function isBack(node: number, after: number): boolean {
  return after <= node;
}
