/**
 * The successor in hand: a copy of the current state that one operation after the other is done on, and what they have
 * shown so far. Nothing is allocated here and no bigint is touched: a state is a few 32-bit words, an operation is a look-up
 * in the trie and a few fields that change.
 */
import { MAX_TIMES } from './clocks.ts';
import type { Fields } from './fields.ts';
import { NODE_MASK, RETRY } from './histories.ts';
import { MemoryState } from './memory.ts';
import { KIND, type Kind } from './operations.ts';
import { bitOf } from './properties.ts';
import { EMPTY } from './store-buffers.ts';
import type { World } from './world.ts';

/** What `execute` returns where the operation cannot be done now. */
export const BLOCKED = -1;

const BACKWARDS = bitOf('backwards');
const STALE_BEGIN = bitOf('stale-begin');
const STALE_USE = bitOf('stale-use');
const RETRIED = bitOf('retried');
const UPDATED = bitOf('updated');

export class Successor extends MemoryState {
  /** What the step has shown so far. */
  found = 0;
  /** The load about to be done gets this value, its choice of an older one with this number; -1: the present one. */
  #picked = -1;
  #choice = -1;
  readonly #world: World;

  constructor(world: World, fields: Fields) {
    super(world, fields);
    this.#world = world;
  }

  /** The next successor starts as a copy of the current state. */
  override begin(): void {
    super.begin();
    this.found = 0;
  }

  /** A call begins on `vcpu`. */
  beginCall(guest: number, vcpu: number): void {
    const { layout, clocks, early } = this.#world;
    if (early !== undefined) early.began(this, guest, vcpu);
    this.put(layout.floorStamp[guest]!, clocks.toldStamp[this.now(layout.told[vcpu]!)]!);
    this.put(layout.floorTime[guest]!, this.now(layout.latest));
  }

  /** The next operation of a guest gets an older value: choice 0 is the oldest. */
  pick(guest: number, cell: number, choice: number): void {
    this.#choice = choice;
    this.#picked = this.#world.early!.value(this, guest, cell, choice);
  }

  /** What a call has given its caller, at its last operation, on `vcpu`. */
  endCall(guest: number, vcpu: number, outcome: number): void {
    const { layout, outcomes, clocks, early } = this.#world;
    this.found |= outcomes.found[outcome]!;
    const time = outcomes.time[outcome]!;
    const latest = this.now(layout.latest);
    if (clocks.before[time * MAX_TIMES + this.get(layout.floorTime[guest]!)] === 1 && time > 0) this.found |= BACKWARDS;
    if (clocks.before[latest * MAX_TIMES + time] === 1) this.put(layout.latest, time);
    const bit = outcomes.bit[outcome]!;
    if (bit >= 0 && bit < this.get(layout.floorStamp[guest]!)) this.found |= STALE_BEGIN;
    this.checkUse(outcome, vcpu);
    if (this.watcher !== undefined) {
      const told = clocks.toldStamp[this.now(layout.told[vcpu]!)]!;
      const begun = [this.get(layout.floorStamp[guest]!), this.get(layout.floorTime[guest]!)] as const;
      this.watcher.returned(vcpu, outcome, begun[0], told, begun[1]);
    }
    this.put(layout.floorStamp[guest]!, 0);
    this.put(layout.floorTime[guest]!, 0);
    if (early !== undefined) early.ended(this, guest);
    this.put(layout.calls[guest]!, this.now(layout.calls[guest]!) + 1);
  }

  checkUse(outcome: number, vcpu: number): void {
    const { layout, outcomes, clocks } = this.#world;
    const bit = outcomes.bit[outcome]!;
    if (bit >= 0 && bit < clocks.toldStamp[this.now(layout.told[vcpu]!)]!) this.found |= STALE_USE;
  }

  /** Notes what the vCPU's own record, as its own processor sees it, says at the moment of entry. */
  tell(vcpu: number): void {
    const { layout, clocks, ownRecords, early } = this.#world;
    if (early !== undefined) early.crossed(this, vcpu);
    const own = ownRecords[vcpu]!;
    const told = clocks.told(
      vcpu,
      this.load(vcpu, own.tscTimestamp, 0),
      this.load(vcpu, own.systemTime, 0),
      this.load(vcpu, own.tscToSystemMul, 0),
      this.load(vcpu, own.tscShift, 0),
      this.load(vcpu, own.tscOffset, 0),
    );
    if (clocks.toldStamp[told]! > 0) this.found |= UPDATED;
    this.put(layout.told[vcpu]!, told);
  }

  /** Does the operation at `node` on the successor in hand, through `processor`'s buffer. Returns the node behind it. */
  execute(thread: number, processor: number, vcpu: number, node: number): number {
    const { histories, operations, early, hosts, others } = this.#world;
    const op = histories.op[node]!;
    const kind = operations.kind[op]! as Kind;
    const cell = operations.cell[op]!;
    const local = this.#answer(thread, processor, vcpu, op, kind, cell);
    if (local === BLOCKED) return BLOCKED;
    if (early !== undefined && vcpu >= 0)
      early.did(this, thread - hosts - others, vcpu, node, kind, cell, this.#choice);
    const after = histories.next(node, local);
    if (this.watcher !== undefined) this.watcher.did(thread, node, local, vcpu, this.#choice);
    this.#picked = -1;
    this.#choice = -1;
    if (after >= RETRY && vcpu >= 0) this.found |= RETRIED;
    return after & NODE_MASK;
  }

  /** Does the operation; the number of its answer, or BLOCKED. */
  #answer(thread: number, processor: number, vcpu: number, op: number, kind: Kind, cell: number): number {
    const { operations, layout, clocks, buffered, early } = this.#world;
    switch (kind) {
      case KIND.load:
        return this.#picked >= 0 ? this.#picked : this.load(processor, cell, thread);
      case KIND.store:
        if (this.isFull(processor)) return BLOCKED;
        this.store(processor, cell, thread, operations.value[op]!);
        return 0;
      case KIND.count: {
        if (this.isFull(processor)) return BLOCKED;
        const found = this.load(processor, cell, thread);
        this.store(processor, cell, thread, operations.result(op, found));
        return found;
      }
      case KIND.update: {
        if (buffered && this.get(layout.buffer[processor]!) !== EMPTY) return BLOCKED;
        const found = this.load(processor, cell, thread);
        this.write(cell, thread, operations.result(op, found));
        return found;
      }
      case KIND.fence:
        return buffered && this.get(layout.buffer[processor]!) !== EMPTY ? BLOCKED : 0;
      case KIND.wait:
        return this.load(processor, cell, thread) === operations.value[op] ? BLOCKED : 0;
      case KIND.vcpu:
      case KIND.pin:
        return vcpu;
      case KIND.rdtsc:
      case KIND.rdtscAnyTime: {
        const tick = this.#picked >= 0 ? this.#picked : this.get(layout.tick);
        return clocks.reading(vcpu, this.get(layout.told[vcpu]!), tick);
      }
      case KIND.hostTsc:
      case KIND.hostNs:
      case KIND.hostSample:
        return this.get(layout.tick);
      case KIND.guest:
        this.put(layout.told[processor]!, 0);
        if (early !== undefined) early.crossed(this, processor);
        return 0;
      default:
        return 0;
    }
  }

  /** The host's time moves on; false where it has come to its end. */
  tick(): boolean {
    const { layout, ticks, early } = this.#world;
    const tick = this.now(layout.tick);
    if (tick === ticks) return false;
    this.begin();
    if (early !== undefined) early.lost(this, -1, tick);
    this.put(layout.tick, tick + 1);
    if (this.watcher !== undefined) this.watcher.ticked();
    return true;
  }
}
