/**
 * A configuration as numbers, ready to be written down for another checker: cells, automata, and what the rules of the world
 * look up. The rules themselves stand with each language.
 */
import { lineAt, signed8 } from '../../guest/sequence.ts';
import { byteOf } from '../cells.ts';
import { KIND } from '../operations.ts';
import { shownBy } from '../outcomes.ts';
import type { Answer, Program } from '../replay.ts';
import type { OwnRecord, Scenario } from '../scenario.ts';
import { type Automata, contentOf, type Edge, END } from './automata.ts';

/** What a thread does at a node. */
export const DOES = [
  'end',
  'done',
  'pass',
  'load',
  'store',
  'count',
  'update',
  'fence',
  'wait',
  'number',
  'tsc',
  'time',
  'leave',
] as const;
export type Does = (typeof DOES)[number];

const DOES_BY_KIND: Readonly<Record<number, Does>> = {
  [KIND.end]: 'end',
  [KIND.done]: 'done',
  [KIND.load]: 'load',
  [KIND.store]: 'store',
  [KIND.count]: 'count',
  [KIND.update]: 'update',
  [KIND.fence]: 'fence',
  [KIND.wait]: 'wait',
  [KIND.vcpu]: 'number',
  [KIND.pin]: 'number',
  [KIND.rdtsc]: 'tsc',
  [KIND.hostTsc]: 'time',
  [KIND.hostNs]: 'time',
  [KIND.hostSample]: 'time',
  [KIND.guest]: 'leave',
};

export interface ModelNode {
  /** Who does this. */
  readonly who: string;
  readonly does: Does;
  /** The variable that it touches; 0 where it touches none. */
  readonly cell: number;
  /** The number of the value that is stored or waited on; of a call that has returned, that of its outcome; of another thread the
   * node at which it goes on. */
  readonly value: number;
  readonly pin: number;
  readonly edges: readonly (Edge | undefined)[];
}

/** What a vCPU learns from its own record when it enters the guest: looked up by the values of these variables. */
export interface Telling {
  readonly cells: readonly number[];
  /** How many values each may have ... */
  readonly counts: readonly number[];
  /** ... and for every combination, the last variable counting fastest, the number of what is told. */
  readonly told: readonly number[];
}

export interface Told {
  readonly stamp: number;
  /** By tick: the number of the TSC's reading; more than the last one where no thread is known to have got it. */
  readonly readings: readonly number[];
}

export interface ModelOutcome {
  /** In the order of all times, from 1; 0 for none. */
  readonly time: number;
  /** The update of the stable bit that was used; -1 where none was. */
  readonly bit: number;
  readonly found: number;
}

export interface Model {
  readonly tso: boolean;
  /** The variables: what all threads share, then what every guest thread has of its own. Each begins with value 0. */
  readonly cells: readonly { readonly name: string; readonly values: readonly string[] }[];
  readonly shared: number;
  readonly nodes: readonly ModelNode[];
  /** The nodes at which the threads begin; of guest threads, at which each of its calls does. */
  readonly hosts: readonly number[];
  readonly others: readonly number[];
  readonly guests: readonly (readonly number[])[];
  readonly once: readonly { readonly vcpu: number; readonly node: number }[];
  readonly tellings: readonly Telling[];
  readonly told: readonly Told[];
  readonly outcomes: readonly ModelOutcome[];
  readonly ticks: number;
}

/** Most values of one variable, variables, times and so on: each is a byte of the state. */
const MOST = 255;

/** `automata`: of this scenario, whatever they were gathered from. Throws RangeError where it is not a small one. */
export function modelOf(scenario: Scenario, automata: Automata): Model {
  const variables = variablesOf(scenario, automata);
  const shared = variables.filter((cell) => !scenario.cells[cell]!.perThread).length;
  const goesOn = goingOn(scenario, automata);
  const told: Told[] = [];
  const tellings = scenario.ownRecords.map((own, vcpu) => tellingOf(scenario, automata, own, vcpu, variables, told));
  const outcomes = outcomesOf(automata);
  const latest = outcomes.reduce((most, { time }) => Math.max(most, time), 0);
  const values = automata.values.map(({ length }) => length);
  const cellsInAll = shared + (variables.length - shared) * scenario.guests.length;
  if (Math.max(...values, told.length, latest, cellsInAll) > MOST) {
    throw new RangeError(`more than ${MOST} variables, or values of one; ask for fewer updates, vCPUs or threads`);
  }
  return {
    tso: scenario.memory === 'tso',
    cells: variables.map((cell) => ({
      name: scenario.cells[cell]!.name,
      values: automata.values[cell]!.map(({ value, stamp }) =>
        stamp === 0 ? `${value}` : `${value} of update ${stamp}`,
      ),
    })),
    shared,
    nodes: automata.nodes.map(({ program, operation, value, pin, edges }) => {
      const cell = variables.indexOf(operation.cell);
      const does = operation.cell >= 0 && cell < 0 ? 'pass' : DOES_BY_KIND[operation.kind]!;
      const next = does === 'done' ? goesOn.get(program!) : undefined;
      return { who: program?.name ?? '', does, cell: Math.max(cell, 0), value: next ?? value, pin, edges };
    }),
    hosts: scenario.hosts.map((host) => automata.root(host)),
    others: scenario.others.map((other) => automata.root(other)),
    guests: scenario.guests.map((calls) => calls.map((call) => automata.root(call))),
    once: scenario.once.map(({ vcpu, program }) => ({ vcpu, node: automata.root(program) })),
    tellings,
    told,
    outcomes,
    ticks: scenario.ticks,
  };
}

/** What nobody writes is no variable; what all threads share comes first. */
function variablesOf({ cells, ownRecords }: Scenario, { nodes }: Automata): number[] {
  const writing = new Set<number>([KIND.store, KIND.count, KIND.update]);
  const written = nodes.filter(({ operation }) => writing.has(operation.kind)).map(({ operation }) => operation.cell);
  const used = new Set([...written, ...ownRecords.flatMap(cellsOf)]);
  const order = (cell: number): number => (cells[cell]!.perThread ? cells.length : 0) + cell;
  return [...used].sort((a, b) => order(a) - order(b));
}

/** Of each program that is not a call: the node at which its thread goes on behind it. */
function goingOn({ hosts, once, others }: Scenario, automata: Automata): Map<Program, number> {
  const goesOn = new Map(hosts.map((host) => [host, automata.root(host)]));
  for (const { vcpu, program } of once) goesOn.set(program, automata.root(hosts[vcpu]!));
  for (const other of others) {
    for (let at: Program | undefined = other; at !== undefined; at = at.next) {
      goesOn.set(at, at.next === undefined ? END : automata.root(at.next));
    }
  }
  return goesOn;
}

const cellsOf = (own: OwnRecord): number[] => [
  own.tscTimestamp,
  own.systemTime,
  own.tscToSystemMul,
  own.tscShift,
  own.tscOffset,
];

function tellingOf(
  scenario: Scenario,
  { values, readings }: Automata,
  own: OwnRecord,
  vcpu: number,
  variables: readonly number[],
  told: Told[],
): Telling {
  const cells = cellsOf(own);
  const counts = cells.map((cell) => values[cell]!.length);
  const known = new Map(readings.map((reading, index) => [contentOf(reading), index]));
  const lookUp = Array.from({ length: counts.reduce((product, count) => product * count, 1) }, (_, index) => {
    let rest = index;
    const at = counts.toReversed().map((count) => {
      const value = rest % count;
      rest = Math.floor(rest / count);
      return value;
    });
    const held = cells.map((cell, place) => values[cell]![at[cells.length - 1 - place]!]!);
    const [timestamp, systemTime, mul, shift, offset] = held.map(({ value }) => value);
    const readingsOf = Array.from({ length: scenario.ticks + 1 }, (_, tick) => {
      const tsc = BigInt.asUintN(64, scenario.hostTsc + BigInt(tick) + BigInt(offset!));
      const [from, base] = [BigInt(timestamp!), BigInt(systemTime!)];
      const expected = lineAt(tsc, from, base, Number(mul), signed8(byteOf(shift!, 0)));
      const reading: Answer = { value: tsc, stamp: 0, vcpu, expected };
      return known.get(contentOf(reading)) ?? readings.length;
    });
    return toldIn(told, { stamp: held[3]!.stamp, readings: readingsOf });
  });
  return { cells: cells.map((cell) => variables.indexOf(cell)), counts, told: lookUp };
}

function toldIn(told: Told[], { stamp, readings }: Told): number {
  const at = told.findIndex((other) => other.stamp === stamp && other.readings.join() === readings.join());
  return at >= 0 ? at : told.push({ stamp, readings }) - 1;
}

function outcomesOf({ outcomes }: Automata): ModelOutcome[] {
  const times = [...new Set(outcomes.flatMap(({ ns }) => (ns === undefined ? [] : [ns])))];
  times.sort((a, b) => (a < b ? -1 : 1));
  return outcomes.map((outcome) => ({
    time: outcome.ns === undefined ? 0 : times.indexOf(outcome.ns) + 1,
    bit: outcome.bit,
    found: shownBy(outcome),
  }));
}
