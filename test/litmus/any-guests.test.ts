import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { explore } from '../../src/checker/explore.ts';
import { NO_OUTCOME } from '../../src/checker/judge.ts';
import { REDUCED, REDUCTION_NAMES, reducedBut, type Steps } from '../../src/checker/reductions.ts';
import type { Program, ThreadCpu } from '../../src/checker/replay.ts';
import type { Memory, Scenario } from '../../src/checker/scenario.ts';
import type { Event } from '../../src/checker/surroundings.ts';
import { makeWorld } from '../../src/checker/world.ts';
import { threadsOf, X, Y, Z } from '../checker/small.ts';

/** X is a vCPU's record: each store there is an update. Z is what its TSC is ahead of the host's. */
type Kind = 'load' | 'store' | 'or' | 'fence' | 'vcpu' | 'tsc' | 'pin' | 'guest';

interface Operation {
  readonly kind: Kind;
  readonly address: number;
  readonly value: number;
}

const operation = (kinds: readonly Kind[], addresses: readonly number[]): fc.Arbitrary<Operation> =>
  fc.record({
    kind: fc.constantFrom(...kinds),
    address: fc.constantFrom(...addresses),
    value: fc.integer({ min: 1, max: 2 }),
  });

const operations = (maxLength: number, kinds: readonly Kind[], addresses: readonly number[]) =>
  fc.array(operation(kinds, addresses), { maxLength });

const LOOK: Operation = { kind: 'load', address: Y, value: 0 };
const ENTER: Operation = { kind: 'guest', address: Y, value: 0 };
const FENCE: Operation = { kind: 'fence', address: Y, value: 0 };
/** Others can tell where a call ends. */
const WHERE: Operation = { kind: 'vcpu', address: Y, value: 0 };

/** A vCPU's thread goes round for ever, so it makes no updates and empties its buffer: there would be no end of them. */
const host = fc
  .tuple(operations(2, ['store', 'or', 'fence'], [Y, Z]), operations(1, ['store', 'load'], [Y, Z]))
  .map(([before, behind]) => [LOOK, ...before, ENTER, ...behind, FENCE]);
const guest = operations(2, ['load', 'load', 'load', 'or', 'vcpu', 'tsc', 'pin'], [X, X, Y, Z]).map((call) => [
  ...call,
  WHERE,
]);
const world = fc.constantFrom([2, 1], [1, 2]).chain(([vcpus, threads]) =>
  fc.record({
    hosts: fc.array(host, { minLength: vcpus!, maxLength: vcpus! }),
    other: operations(2, ['store', 'store', 'fence', 'or'], [X, X, Y, Z]).map((all) => [LOOK, ...all]),
    // Of each guest: what every call of its does.
    guests: fc.array(guest, { minLength: threads!, maxLength: threads! }),
    ticks: fc.integer({ min: 0, max: 1 }),
  }),
);
type World = typeof world extends fc.Arbitrary<infer T> ? T : never;

/** One guest calls twice, and each of two once. */
const callsOf = (guests: World['guests']): readonly number[] => (guests.length === 1 ? [1, 2] : [1]);

function done(cpu: ThreadCpu, { kind, address, value }: Operation): number {
  if (kind === 'load') return cpu.load32(address);
  if (kind === 'or') return cpu.fetchOr32(address, value);
  if (kind === 'vcpu') return cpu.vcpu();
  if (kind === 'pin') return cpu.kernelVcpu();
  if (kind === 'tsc') return Number(cpu.rdtsc());
  if (kind === 'store') cpu.store32(address, value);
  else if (kind === 'fence') cpu.fence();
  else cpu.guest();
  return 0;
}

const programOf = (name: string, all: readonly Operation[]): Program => ({
  name,
  run: (cpu) => all.reduce((got, one) => got * 8 + done(cpu, one), 0),
});

function scenarioOf({ hosts, other, guests, ticks }: World, memory: Memory): Scenario {
  const small = threadsOf([], memory);
  const programs = guests.map((all, index) => programOf(`guest ${index}`, all));
  return {
    ...small,
    cells: small.cells.map((spec) => (spec.address === X ? { ...spec, counts: true } : spec)),
    hosts: hosts.map((all, vcpu) => programOf(`vCPU ${vcpu}`, all)),
    ownRecords: hosts.map(() => ({ tscTimestamp: 0, systemTime: 0, tscToSystemMul: 0, tscShift: 0, tscOffset: 2 })),
    others: [programOf('other', other)],
    guests: programs.map((program) => callsOf(guests).map(() => program)),
    ticks,
    outcome(program: Program, events: readonly Event[], returned: unknown) {
      if (!programs.includes(program)) return NO_OUTCOME;
      const bit = events.findLast((event) => event.operation.cell === 0)?.answer.stamp ?? -1;
      return { ...NO_OUTCOME, ns: BigInt(Number(returned)), bit, isCall: true };
    },
  };
}

const LOOKED_FOR = ['backwards', 'stale-begin', 'stale-use', 'updated'];

function byExploring(given: World, memory: Memory, steps: Steps): string[] {
  const exploration = explore(makeWorld(scenarioOf(given, memory), steps));
  assert.ok(exploration.complete);
  const { outcomes } = exploration.world;
  const all = Array.from({ length: outcomes.count }, (_, id) => outcomes.get(id));
  const returned = all.flatMap(({ ns, bit, isCall }) => (isCall ? [`${ns} by ${bit}`] : []));
  const found = exploration.found.map(({ name }) => name).filter((name) => LOOKED_FOR.includes(name));
  return [...new Set([...returned, ...found])].sort();
}

interface Held {
  readonly value: number;
  readonly update: number;
}

interface State {
  readonly memory: Readonly<Record<number, Held>>;
  /** Each vCPU's thread, then the other. */
  readonly threads: readonly {
    readonly at: number;
    /** What the vCPU was told as it entered the guest. */
    readonly told: { readonly update: number; readonly ahead: number };
    readonly buffer: readonly (readonly [address: number, held: Held])[];
  }[];
  readonly guests: readonly {
    readonly at: number;
    readonly calls: number;
    readonly got: number;
    readonly bit: number;
    readonly pinned: number;
    /** As the call began. */
    readonly told: number;
    readonly latest: number;
  }[];
  readonly latest: number;
  readonly tick: number;
}

const NOTHING = { update: 0, ahead: 0 };
const IDLE = { at: 0, got: 0, bit: -1, pinned: -1, told: 0, latest: -1 };

/** The same once more, plainly: every way there is, one operation at a time. */
class EveryWay {
  readonly seen = new Set<string>();
  readonly #world: World;
  readonly #memory: Memory;

  constructor(given: World, memory: Memory) {
    this.#world = given;
    this.#memory = memory;
    const { hosts, guests } = given;
    const zero = { value: 0, update: 0 };
    const first: State = {
      memory: { [X]: zero, [Y]: zero, [Z]: zero },
      threads: [...hosts, 0].map(() => ({ at: 0, told: NOTHING, buffer: [] })),
      guests: guests.map(() => ({ ...IDLE, calls: 0 })),
      latest: -1,
      tick: 0,
    };
    const known = new Set([JSON.stringify(first)]);
    const open = [first];
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      for (const next of this.#after(state)) {
        const key = JSON.stringify(next);
        if (known.has(key)) continue;
        known.add(key);
        open.push(next);
      }
    }
  }

  *#after(state: State): Generator<State> {
    const { hosts, other, guests, ticks } = this.#world;
    if (state.tick < ticks) yield { ...state, tick: state.tick + 1 };
    for (const [index, thread] of state.threads.entries()) {
      const [oldest, ...newer] = thread.buffer;
      if (oldest !== undefined) {
        const memory = { ...state.memory, [oldest[0]]: oldest[1] };
        yield { ...state, memory, threads: state.threads.with(index, { ...thread, buffer: newer }) };
      }
      const all = hosts[index] ?? other;
      if (thread.at === all.length) continue;
      const next = this.#did(state, index, all[thread.at]!)?.[0];
      if (next === undefined) continue;
      const at = index < hosts.length ? (thread.at + 1) % all.length : thread.at + 1;
      const enters = all[at]?.kind === 'guest';
      const told = enters
        ? { update: this.#held(next, index, X).update, ahead: this.#held(next, index, Z).value }
        : NOTHING;
      if (told.update > 0) this.seen.add('updated');
      yield { ...next, threads: next.threads.with(index, { ...next.threads[index]!, at, told }) };
    }
    const inside = hosts.flatMap((all, vcpu) => (all[state.threads[vcpu]!.at]!.kind === 'guest' ? [vcpu] : []));
    for (const [index, one] of state.guests.entries()) {
      if (one.calls === callsOf(guests).length) continue;
      const all = guests[index]!;
      const { kind, address } = all[one.at]!;
      for (const vcpu of inside) {
        if (one.pinned >= 0 && one.pinned !== vcpu) continue;
        const did = this.#did(state, vcpu, all[one.at]!);
        if (did === undefined) continue;
        const [next, found] = did;
        const { told } = state.threads[vcpu]!;
        const begun = one.at === 0 ? { told: told.update, latest: state.latest } : {};
        const answer =
          kind === 'tsc' ? state.tick + told.ahead : kind === 'vcpu' || kind === 'pin' ? vcpu : found.value;
        const after = {
          ...one,
          ...begun,
          at: one.at + 1,
          got: one.got * 8 + answer,
          bit: (kind === 'load' || kind === 'or') && address === X ? found.update : one.bit,
          pinned: kind === 'pin' ? vcpu : one.pinned,
        };
        if (after.at < all.length) yield { ...next, guests: next.guests.with(index, after) };
        else yield this.#ended(next, index, after, told.update);
      }
    }
  }

  #ended(state: State, index: number, call: State['guests'][number], told: number): State {
    this.seen.add(`${call.got} by ${call.bit}`);
    if (call.got < call.latest) this.seen.add('backwards');
    if (call.bit >= 0 && call.bit < call.told) this.seen.add('stale-begin');
    if (call.bit >= 0 && call.bit < told) this.seen.add('stale-use');
    const guests = state.guests.with(index, { ...IDLE, calls: call.calls + 1 });
    return { ...state, guests, latest: Math.max(state.latest, call.got) };
  }

  #held(state: State, processor: number, address: number): Held {
    const own = state.threads[processor]!.buffer.findLast(([stored]) => stored === address);
    return own?.[1] ?? state.memory[address]!;
  }

  /** The operation done on a processor, and what it finds; undefined where it has to wait. */
  #did(state: State, processor: number, { kind, address, value }: Operation): [State, Held] | undefined {
    const thread = state.threads[processor]!;
    const found = this.#held(state, processor, address);
    if ((kind === 'or' || kind === 'fence') && thread.buffer.length > 0) return undefined;
    const put = (held: Held): State => ({ ...state, memory: { ...state.memory, [address]: held } });
    if (kind === 'or') return [put({ value: found.value | value, update: found.update }), found];
    if (kind !== 'store') return [state, kind === 'load' ? found : { value: 0, update: 0 }];
    const held = { value, update: address === X ? found.update + 1 : 0 };
    if (this.#memory === 'sc') return [put(held), found];
    const buffer = [...thread.buffer, [address, held] as const];
    return [{ ...state, threads: state.threads.with(processor, { ...thread, buffer }) }, found];
  }
}

const Z_IS = (value: number): Operation => ({ kind: 'store', address: Z, value });

/** What nobody else can tell stands between a vCPU's last store and its entry, and another writes what it is told by. */
const ENTRY_BEHIND_A_FENCE: World = {
  hosts: [
    [LOOK, Z_IS(2), FENCE, ENTER, FENCE],
    [LOOK, Z_IS(2), ENTER, Z_IS(1), FENCE],
  ],
  other: [LOOK],
  guests: [[{ kind: 'tsc', address: Y, value: 1 }, WHERE]],
  ticks: 0,
};

describe('any guests', () => {
  for (const memory of ['sc', 'tso'] as const) {
    test(`explore() shows what every way to go shows, with reductions and without: ${memory}`, () => {
      fc.assert(
        fc.property(world, (given) => {
          const expected = [...new EveryWay(given, memory).seen].sort();
          assert.deepEqual(byExploring(given, memory, REDUCED), expected);
          assert.deepEqual(byExploring(given, memory, reducedBut(REDUCTION_NAMES)), expected);
        }),
        { numRuns: 50, examples: [[ENTRY_BEHIND_A_FENCE]] },
      );
    });
  }
});
