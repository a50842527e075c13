/** A scenario made ready to be explored: its values, operations, histories and clocks, and what each thread begins with. */
import { Cells } from './cells.ts';
import { Clocks } from './clocks.ts';
import { EarlyLoads } from './early-loads.ts';
import { Histories } from './histories.ts';
import { Layout } from './layout.ts';
import { KIND, Operations } from './operations.ts';
import { Outcomes } from './outcomes.ts';
import { KEPT_ROUNDS, REDUCED, type Steps } from './reductions.ts';
import { type Answer, NO_ANSWER, type Program, ReplayCpu } from './replay.ts';
import type { OwnRecord, Scenario } from './scenario.ts';
import { StoreBuffers } from './store-buffers.ts';
import { Visibility } from './visibility.ts';

export interface World {
  readonly scenario: Scenario;
  readonly cells: Cells;
  readonly operations: Operations;
  readonly histories: Histories;
  readonly layout: Layout;
  readonly clocks: Clocks;
  readonly outcomes: Outcomes;
  readonly buffers: StoreBuffers;
  readonly visibility: Visibility;
  /** Undefined where every load is done in its turn. */
  readonly early: EarlyLoads | undefined;
  /** Threads are numbered hosts, then others, then guests. */
  readonly hosts: number;
  readonly others: number;
  readonly guests: number;
  readonly buffered: boolean;
  readonly ticks: number;
  /** The reduction `leaving`, and `any-vcpu`. */
  readonly leavesAtOnce: boolean;
  readonly anyVcpu: boolean;
  readonly ownRecords: readonly OwnRecord[];
  /** Of each host and other thread: the node at which it begins. */
  readonly firstNodes: readonly number[];
  readonly onceVcpu: readonly number[];
  readonly onceNode: readonly number[];
  /** Of each guest thread: the nodes at which its calls begin. */
  readonly callNodes: readonly (readonly number[])[];
}

export function makeWorld(scenario: Scenario, steps: Steps = REDUCED): World {
  const { reductions } = steps;
  const { hosts, others, guests, once } = scenario;
  const cells = new Cells(scenario.cells);
  const operations = new Operations(cells);
  const clocks = new Clocks(cells, scenario);
  const outcomes = new Outcomes(clocks);
  const visibility = new Visibility(scenario, cells, operations, steps);
  const threadsOf = threadMasks(scenario);
  const keptRounds = reductions.has('rounds') ? 0 : KEPT_ROUNDS;
  const histories: Histories = new Histories(cells, operations, new ReplayCpu(cells, scenario.early), keptRounds, {
    answer(operation, local): Answer {
      if (operation.kind === KIND.rdtsc || operation.kind === KIND.rdtscAnyTime) return clocks.readingAnswer(local);
      if (operation.kind === KIND.hostTsc) return { ...NO_ANSWER, value: clocks.hostTsc(local) };
      if (operation.kind === KIND.hostNs) return { ...NO_ANSWER, value: clocks.hostNs(local) };
      if (operation.kind === KIND.hostSample) {
        return { ...NO_ANSWER, value: clocks.hostTsc(local), expected: clocks.hostNs(local) };
      }
      return { ...NO_ANSWER, value: local };
    },
    outcome: (program, events, returned) => outcomes.intern(scenario.outcome(program, events, returned)),
    used: (program, operation) => visibility.used(threadsOf.get(program) ?? 0, operation),
  });
  scenario.ownRecords.forEach((own, vcpu) => {
    for (const cell of Object.values<number>({ ...own })) visibility.touched(1 << vcpu, cell, true, false);
  });
  const layout = new Layout(scenario, cells);
  const counts = { hosts: hosts.length, others: others.length };
  return {
    scenario,
    cells,
    operations,
    histories,
    layout,
    clocks,
    outcomes,
    buffers: new StoreBuffers(),
    visibility,
    early: scenario.early && new EarlyLoads(scenario.early, { histories, layout, scenario, ...counts }),
    ...counts,
    guests: guests.length,
    buffered: scenario.memory === 'tso',
    ticks: scenario.ticks,
    leavesAtOnce: reductions.has('leaving'),
    anyVcpu: reductions.has('any-vcpu'),
    ownRecords: scenario.ownRecords,
    firstNodes: [...hosts, ...others].map((program) => histories.root(program)),
    onceVcpu: once.map(({ vcpu }) => vcpu),
    onceNode: once.map(({ program }) => histories.root(program)),
    callNodes: guests.map((calls) => calls.map((call) => histories.root(call))),
  };
}

/** Of each program: the threads that run it, a bit each. */
function threadMasks({ hosts, others, guests, once }: Scenario): Map<Program, number> {
  const masks = new Map<Program, number>();
  const add = (program: Program, thread: number): void =>
    void masks.set(program, (masks.get(program) ?? 0) | (1 << thread));
  const addAll = (program: Program | undefined, thread: number): void => {
    for (let at = program; at !== undefined; at = at.next) add(at, thread);
  };
  [...hosts, ...others].forEach(addAll);
  for (const { vcpu, program } of once) add(program, vcpu);
  guests.forEach((calls, guest) => {
    for (const call of calls) add(call, hosts.length + others.length + guest);
  });
  return masks;
}
