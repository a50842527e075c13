/**
 * An execution, step by step. A finding of the search is turned into its schedule, and a schedule, wherever it comes from, is
 * performed: operation by operation, with what every one was answered and what memory holds behind it.
 */
import { signed8 } from '../guest/sequence.ts';
import { byteOf, type Role } from './cells.ts';
import type { Exploration, Found } from './explore.ts';
import type { Fields } from './fields.ts';
import { KIND } from './operations.ts';
import { bitOf, namesIn, type PropertyName, type WitnessName } from './properties.ts';
import { type Action, Recorder } from './recorder.ts';
import type { Scenario } from './scenario.ts';
import type { Actor, Turn } from './schedule.ts';
import { Stepper } from './stepper.ts';
import { WIDEN } from './successor.ts';
import { makeWorld, type World } from './world.ts';

/** A record as memory holds it. */
export interface RecordState {
  readonly vcpu: number;
  readonly version: number;
  readonly tscTimestamp: bigint;
  readonly systemTime: bigint;
  readonly tscToSystemMul: number;
  readonly tscShift: number;
  readonly flags: number;
  /** The update that its flags come from. */
  readonly update: number;
}

export interface Step {
  readonly turn: Turn;
  readonly actions: readonly Action[];
  /** The records behind the step. */
  readonly records: readonly RecordState[];
  /** Of each vCPU: the update that it was told of, or undefined where it is out of the guest. */
  readonly told: readonly (number | undefined)[];
  /** What the step has shown. */
  readonly found: readonly (PropertyName | WitnessName)[];
  /** What the call that ended with this step has returned: ns, or 'unstable'. */
  readonly returned: bigint | 'unstable' | undefined;
}

/** The shortest schedule to a finding. */
export function scheduleTo(exploration: Exploration, found: Found): Turn[] {
  const { world, fields, set } = exploration;
  const path: number[] = [];
  for (let at = found.state; at >= 0; at = set.parent(at)) path.unshift(at);
  const turns: Turn[] = [];
  const lastVcpu = new Map<number, number>();
  path.forEach((state, place) => {
    const after = path[place + 1];
    const wanted = new Int32Array(fields.words);
    if (after !== undefined) set.read(after, wanted);
    const bit = bitOf(found.name);
    const matches = (next: Int32Array, bits: number): boolean =>
      after === undefined ? (bits & bit) !== 0 : next.every((word, index) => word === wanted[index]);
    const candidates = turnsFrom(world, exploration, state, matches);
    const stays = ({ actor }: Turn): boolean => actor.kind !== 'guest' || lastVcpu.get(actor.guest) === actor.vcpu;
    const turn = candidates.find(stays) ?? candidates[0]!;
    if (turn.actor.kind === 'guest') lastVcpu.set(turn.actor.guest, turn.actor.vcpu);
    turns.push(turn);
  });
  return turns;
}

/** The turns that lead from `state` to where `matches` says yes. */
function turnsFrom(
  world: World,
  { fields, set }: Exploration,
  state: number,
  matches: (next: Int32Array, found: number) => boolean,
): Turn[] {
  const turns: Turn[] = [];
  const seen = new Recorder(world);
  const stepper = new Stepper(world, fields, (next, found) => {
    if (matches(next, found)) turns.push(seen.turn());
  });
  stepper.to.watcher = seen;
  set.read(state, stepper.to.current);
  stepper.expand();
  return turns;
}

/**
 * Performs a schedule from the beginning. Throws RangeError where a turn cannot be taken: the schedule is of another
 * configuration.
 */
export function perform(scenario: Scenario, turns: readonly Turn[]): Step[] {
  // Every operation on its own: a schedule says itself how many belong to a step, so nothing hangs on what is private.
  const world = makeWorld(scenario, false);
  for (;;) {
    const fields = world.layout.packed();
    const performer = new Performer(world, fields);
    try {
      return turns.map((turn, place) => performer.step(turn, place));
    } catch (thrown) {
      if (thrown !== WIDEN) throw thrown;
      world.layout.widen(performer.overflow);
    }
  }
}

class Performer {
  readonly #world: World;
  readonly #fields: Fields;
  readonly #recorder: Recorder;
  readonly #stepper: Stepper;
  readonly #state: Int32Array;
  #wanted: Turn | undefined;
  #taken = false;
  #found = 0;
  #actions: Action[] = [];
  #ended: Step['returned'];

  constructor(world: World, fields: Fields) {
    this.#world = world;
    this.#fields = fields;
    this.#recorder = new Recorder(world);
    this.#state = new Int32Array(fields.words);
    this.#stepper = new Stepper(world, fields, (next, found) => this.#take(next, found));
    this.#state.set(this.#stepper.initial());
    this.#stepper.to.watcher = this.#recorder;
  }

  get overflow(): number {
    return this.#stepper.to.overflow;
  }

  step(turn: Turn, place: number): Step {
    this.#actions = [];
    this.#found = 0;
    this.#ended = undefined;
    for (let operation = 0; operation < turn.count; operation++) {
      this.#wanted = operation === 0 ? turn : { ...turn, actor: this.#goingOn(turn.actor), choice: -1 };
      this.#taken = false;
      this.#stepper.to.current.set(this.#state);
      this.#stepper.expand();
      if (!this.#taken)
        throw new RangeError(`step ${place + 1} cannot be taken: its ${turn.actor.kind} is blocked or done`);
    }
    const { actor } = turn;
    if (actor.kind === 'host' || actor.kind === 'once') this.#noteEntry(turn);
    return {
      turn,
      actions: this.#actions,
      records: this.#records(),
      told: this.#told(),
      found: namesIn(this.#found),
      returned: this.#ended,
    };
  }

  #take(next: Int32Array, found: number): void {
    const turn = this.#recorder.turn();
    const wanted = this.#wanted!;
    if (this.#taken || turn.choice !== wanted.choice || !sameActor(turn.actor, wanted.actor)) return;
    this.#taken = true;
    this.#state.set(next);
    this.#found |= found;
    this.#actions.push(...this.#recorder.actions);
    this.#ended = this.#recorder.ended ?? this.#ended;
  }

  /** What is done once begins a stretch of its vCPU's thread, which goes on as itself. */
  #goingOn(actor: Actor): Actor {
    return actor.kind === 'once' ? { kind: 'host', vcpu: this.#world.onceVcpu[0]! } : actor;
  }

  /** A vCPU that has come to the end of its gate is in the guest: no operation says so. */
  #noteEntry({ actor }: Turn): void {
    const vcpu = actor.kind === 'host' ? actor.vcpu : this.#world.onceVcpu[0]!;
    const last = this.#actions.at(-1);
    if (last === undefined || this.#told()[vcpu] === undefined) return;
    this.#actions.push({ ...last, what: `enters the guest, told of update ${this.#told()[vcpu]}` });
  }

  #get(field: number): number {
    return this.#fields.get(this.#state, field);
  }

  #told(): (number | undefined)[] {
    const { layout, hosts, histories, clocks } = this.#world;
    return Array.from({ length: hosts }, (_, vcpu) => {
      const inGuest = histories.operation(this.#get(layout.node[vcpu]!)).kind === KIND.guest;
      return inGuest ? clocks.toldStamp[this.#get(layout.told[vcpu]!)]! : undefined;
    });
  }

  #records(): RecordState[] {
    return Array.from({ length: this.#world.hosts }, (_, vcpu) => this.#record(vcpu));
  }

  #record(vcpu: number): RecordState {
    const { cells, layout } = this.#world;
    const held = (role: Role) => {
      const cell = cells.specs.findIndex((spec) => spec.record === vcpu && spec.role === role && !spec.perThread);
      const id = this.#get(layout.cell[cell]!);
      return { value: cells.value(cell, id), stamp: cells.stamp(cell, id) };
    };
    const last = held('tscShift');
    return {
      vcpu,
      version: Number(held('version').value),
      tscTimestamp: BigInt(held('tscTimestamp').value),
      systemTime: BigInt(held('systemTime').value),
      tscToSystemMul: Number(held('tscToSystemMul').value),
      tscShift: signed8(byteOf(last.value, 0)),
      flags: byteOf(last.value, 1),
      update: last.stamp,
    };
  }
}

function sameActor(a: Actor, b: Actor): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
