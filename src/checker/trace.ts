/**
 * An execution, step by step. A finding of the search is turned into its schedule, and a schedule, wherever it comes from, is
 * performed: operation by operation, with what every one was answered and what memory holds behind it.
 */
import { signed8 } from '../guest/sequence.ts';
import { byteOf, type Role } from './cells.ts';
import type { Exploration, Found } from './explore.ts';
import type { Fields } from './fields.ts';
import { WIDEN } from './memory.ts';
import { KIND } from './operations.ts';
import { bitOf, namesIn, type PropertyName, type WitnessName } from './properties.ts';
import { type Action, Recorder, type Returned, sameActor } from './recorder.ts';
import { SINGLE } from './reductions.ts';
import type { Scenario } from './scenario.ts';
import type { Actor, Schedule, Turn } from './schedule.ts';
import { Stepper } from './stepper.ts';
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
  /** The update that each of its words comes from; shift and flags are one word. */
  readonly stamps: Readonly<Record<RecordWord, number>>;
}

export type RecordWord = Extract<Role, 'tscTimestamp' | 'systemTime' | 'tscToSystemMul' | 'tscShift'>;

export interface Step {
  /** Who takes it ... */
  readonly turn: Turn;
  /** ... and who else is moved along in it, as nobody can tell when that happens. */
  readonly turns: readonly Turn[];
  readonly actions: readonly Action[];
  /** The records behind the step. */
  readonly records: readonly RecordState[];
  /** Of each vCPU: the update that it was told of, or undefined where it is out of the guest. */
  readonly told: readonly (number | undefined)[];
  /** What the step has shown. */
  readonly found: readonly (PropertyName | WitnessName)[];
  /** The call that ended with this step. */
  readonly returned: Returned | undefined;
}

/** The shortest schedule to a finding. */
export function scheduleTo(exploration: Exploration, found: Found): Schedule {
  const { fields, set } = exploration;
  const path: number[] = [];
  for (let at = found.state; at >= 0; at = set.parent(at)) path.unshift(at);
  const bit = bitOf(found.name);
  const lastVcpu = new Map<number, number>();
  // A guest thread goes on where it is, where that is as good as any other vCPU.
  const stays = ([{ actor }]: readonly [Turn, ...Turn[]]): boolean =>
    actor.kind !== 'guest' || lastVcpu.get(actor.guest) === actor.vcpu;
  return path.map((state, place) => {
    const after = path[place + 1];
    const wanted = new Int32Array(fields.words);
    if (after !== undefined) set.read(after, wanted);
    const candidates = stepsFrom(exploration, state, (next, bits) =>
      after === undefined ? (bits & bit) !== 0 : next.every((word, index) => word === wanted[index]),
    );
    const turns = candidates.find(stays) ?? candidates[0]!;
    const { actor } = turns[0];
    if (actor.kind === 'guest') lastVcpu.set(actor.guest, actor.vcpu);
    return turns;
  });
}

/** The steps that lead from `state` to where `matches` says yes. */
function stepsFrom(
  { world, fields, set }: Exploration,
  state: number,
  matches: (next: Int32Array, found: number) => boolean,
): [Turn, ...Turn[]][] {
  const steps: [Turn, ...Turn[]][] = [];
  const recorder = new Recorder(world);
  const stepper = new Stepper(world, fields, (next, found) => {
    const [first, ...more] = recorder.turns();
    if (first !== undefined && matches(next, found)) steps.push([first, ...more]);
  });
  stepper.to.watcher = recorder;
  set.read(state, stepper.to.current);
  stepper.expand();
  return steps;
}

/**
 * Performs a schedule from the beginning. Throws RangeError where a turn cannot be taken: the schedule is of another
 * configuration.
 */
export function perform(scenario: Scenario, schedule: Schedule): Step[] {
  // A schedule says itself how many operations belong to a step, so nothing hangs on what is private.
  const world = makeWorld(scenario, SINGLE);
  for (;;) {
    const fields = world.layout.packed();
    const performer = new Performer(world, fields);
    world.visibility.outdated = false;
    try {
      const steps = schedule.map((turns, place) => performer.step(turns, place));
      if (!world.visibility.outdated) return steps;
    } catch (thrown) {
      if (thrown === WIDEN) world.layout.widen(performer.overflow, 1);
      else if (!world.visibility.outdated) throw thrown;
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
  #ended: Returned | undefined;

  constructor(world: World, fields: Fields) {
    this.#world = world;
    this.#fields = fields;
    this.#recorder = new Recorder(world);
    this.#state = new Int32Array(fields.words);
    this.#stepper = new Stepper(world, fields, (next, found) => this.#reached(next, found));
    this.#state.set(this.#stepper.initial());
    this.#stepper.to.watcher = this.#recorder;
  }

  get overflow(): number {
    return this.#stepper.to.overflow;
  }

  step(turns: readonly Turn[], place: number): Step {
    this.#actions = [];
    this.#found = 0;
    this.#ended = undefined;
    for (const { actor, count, choice } of turns) {
      for (let operation = 0; operation < count; operation++) {
        if (this.#take(actor, operation === 0 ? choice : -1)) continue;
        throw new RangeError(`step ${place + 1} cannot be taken: the ${actor.kind} is blocked or done`);
      }
    }
    this.#noteEntry();
    return {
      turn: turns[0]!,
      turns,
      actions: this.#actions,
      records: this.#records(),
      told: this.#told(),
      found: namesIn(this.#found),
      returned: this.#ended,
    };
  }

  /** One operation; false where this actor cannot do one. */
  #take(actor: Actor, choice: number): boolean {
    this.#wanted = { actor, choice, count: 1 };
    this.#taken = false;
    this.#stepper.to.current.set(this.#state);
    this.#stepper.expand();
    return this.#taken;
  }

  #reached(next: Int32Array, found: number): void {
    const [turn] = this.#recorder.turns();
    const wanted = this.#wanted!;
    if (this.#taken || turn === undefined) return;
    if (turn.choice !== wanted.choice || !sameActor(turn.actor, wanted.actor)) return;
    this.#taken = true;
    this.#state.set(next);
    this.#found |= found;
    this.#actions.push(...this.#recorder.actions);
    this.#ended = this.#recorder.ended ?? this.#ended;
  }

  /** A vCPU that has come to the end of its gate is in the guest: no operation says so. */
  #noteEntry(): void {
    const last = this.#actions.at(-1)!;
    const update = last.actor.kind === 'host' ? this.#told()[last.actor.vcpu] : undefined;
    if (update !== undefined) {
      this.#actions.push({ ...last, cell: undefined, what: `enters the guest, told of update ${update}` });
    }
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
    const tscTimestamp = held('tscTimestamp');
    const systemTime = held('systemTime');
    const tscToSystemMul = held('tscToSystemMul');
    const tscShift = held('tscShift');
    return {
      vcpu,
      version: Number(held('version').value),
      tscTimestamp: BigInt(tscTimestamp.value),
      systemTime: BigInt(systemTime.value),
      tscToSystemMul: Number(tscToSystemMul.value),
      tscShift: signed8(byteOf(tscShift.value, 0)),
      flags: byteOf(tscShift.value, 1),
      update: tscShift.stamp,
      stamps: {
        tscTimestamp: tscTimestamp.stamp,
        systemTime: systemTime.stamp,
        tscToSystemMul: tscToSystemMul.stamp,
        tscShift: tscShift.stamp,
      },
    };
  }
}
