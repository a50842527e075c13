/**
 * A configuration as Promela, for Spin: tables, the rules of the world, and who takes part.
 */
import { ALWAYS, bitOf, SOMETIMES } from '../properties.ts';
import { CAPACITY } from '../store-buffers.ts';
import { DOES, type Model } from './model.ts';
import { PROMELA_ACTORS } from './promela-actors.ts';
import { PROMELA_OPERATIONS } from './promela-operations.ts';

const LINE = 120;

/** Spin takes 64 KiB of C at a time. */
const NUMBERS_AT_ONCE = 8000;

/** Any vCPU. */
const ANY = 255;

/** A whole file. `title`: what is exported, on one line. */
export function promelaText(model: Model, title: string): string {
  const tables = tablesOf(model);
  const declared = Object.entries(tables).map(([name, values]) => declaration(name, values));
  return [
    head(title),
    sizes(model),
    names(model),
    ...declared,
    PROMELA_OPERATIONS,
    PROMELA_ACTORS,
    actors(model, tables),
  ].join('\n');
}

function head(title: string): string {
  return `/*
 * ${title}
 *
 * Prints which properties are violated, and what is seen to happen:
 *   spin -search -O2 -DSAFETY -DNOREDUCE -m100000 -n FILE
 * The way to one (TORN, MIXED, BACKWARDS, STALE_BEGIN, STALE_USE, OWN, RETRIED, UPDATED, STABLE, UNSTABLE):
 *   spin -DSTOP=STALE_BEGIN -search -O2 -DSAFETY -DNOREDUCE -DREACH -m100000 -i FILE; ./pan -S
 * On N processors, where memory does not hold all states: -swarmN,1 -w28 in the place of -n
 * "assertion violated known_answer": a thread was answered what was not known when this was exported.
 */
`;
}

function sizes({ tso, cells, shared, nodes, hosts, others, guests, once, ticks }: Model): string {
  const own = cells.length - shared;
  return defines({
    TSO: tso ? 1 : 0,
    CAPACITY,
    HOSTS: hosts.length,
    PROCESSORS: hosts.length + others.length,
    GUESTS: guests.length,
    THREADS: hosts.length + others.length + guests.length,
    CALLS: guests[0]!.length,
    ONCE: Math.max(once.length, 1),
    TICKS: ticks,
    SHARED: shared,
    OWN_CELLS: own,
    CELLS: shared + own * guests.length,
    NODES: nodes.length,
    NODE: nodes.length < 2 ** 15 ? 'short' : 'int',
    ANY,
  });
}

function names({ nodes, cells }: Model): string {
  const properties = [...ALWAYS, ...SOMETIMES].map(({ name }) => name);
  const bits = properties.map((name) => [name.toUpperCase().replace('-', '_'), bitOf(name)]);
  const does = DOES.map((name, index) => [name.toUpperCase(), index]);
  return [
    `${defines(Object.fromEntries(does))}${defines(Object.fromEntries(bits))}#ifndef STOP\n#define STOP 0\n#endif`,
    strings('property', properties),
    strings('word', DOES),
    strings('program', programsIn(nodes)),
    strings(
      'variable',
      cells.map(({ name }) => name),
    ),
    strings(
      'text',
      cells.flatMap(({ values }) => values),
    ),
  ].join('\n');
}

function programsIn(nodes: Model['nodes']): string[] {
  return [...new Set(nodes.map(({ who }) => who))];
}

type Tables = Readonly<Record<string, readonly number[]>>;

function tablesOf({ nodes, cells, tellings, told, outcomes, guests }: Model): Tables {
  const edges = nodes.flatMap((node) => Array.from(node.edges, (edge) => edge));
  const byTelling = tellings.flatMap((telling) => telling.cells.map((cell, place) => [cell, telling.counts[place]!]));
  const programs = programsIn(nodes);
  return {
    does: nodes.map((node) => DOES.indexOf(node.does)),
    cell_of: nodes.map((node) => node.cell),
    with: nodes.map((node) => node.value),
    pin: nodes.map((node) => (node.pin < 0 ? ANY : node.pin)),
    first: starts(nodes.map((node) => node.edges.length)),
    to: edges.map((edge) => (edge === undefined ? 0 : edge.to + (edge.retry ? nodes.length : 0))),
    leaves: edges.map((edge) => edge?.left ?? 0),
    tells: starts(tellings.map((telling) => telling.cells.length)),
    tells_at: starts(tellings.map((telling) => telling.told.length)),
    told_cell: byTelling.map(([cell]) => cell!),
    told_count: byTelling.map(([, count]) => count!),
    told_by: tellings.flatMap((telling) => telling.told),
    stamp: told.map((one) => one.stamp),
    reading: told.flatMap(({ readings }) => readings),
    time_of: outcomes.map((outcome) => outcome.time),
    used_bit: outcomes.map((outcome) => outcome.bit + 1),
    shows: outcomes.map((outcome) => outcome.found),
    call: guests.flatMap((calls) => [...calls, 0]),
    whose: nodes.map(({ who }) => programs.indexOf(who)),
    texts: starts(cells.map(({ values }) => values.length)),
  };
}

/** Where each of a row of lists begins, and where the last one ends. */
function starts(lengths: readonly number[]): number[] {
  const all = [0];
  for (const length of lengths) all.push(all.at(-1)! + length);
  return all;
}

/** The numbers in C; and an array of the model that is no part of a state, which is given them at the beginning. */
function declaration(name: string, values: readonly number[]): string {
  const widest = Math.max(...values);
  const [type, inC] = widest < 256 ? ['byte', 'unsigned char'] : widest < 2 ** 15 ? ['short', 'short'] : ['int', 'int'];
  const parts = partsOf(values).map(
    (part, index) => `c_decl { static const ${inC} ${name}_${index}[] = {\n${wrapped(part)} }; }\n`,
  );
  return `${parts.join('')}hidden ${type} ${name}[${values.length}];`;
}

function partsOf(values: readonly number[]): (readonly number[])[] {
  const parts = Math.ceil(values.length / NUMBERS_AT_ONCE);
  return Array.from({ length: parts }, (_, at) => values.slice(at * NUMBERS_AT_ONCE, (at + 1) * NUMBERS_AT_ONCE));
}

function wrapped(items: readonly (number | string)[]): string {
  const lines = [''];
  for (const item of items) {
    if (lines.at(-1)!.length + `${item},`.length > LINE) lines.push('');
    lines[lines.length - 1] += `${item},`;
  }
  return lines.join('\n');
}

function strings(name: string, texts: readonly string[]): string {
  return `c_decl { static const char *const ${name}[] = {\n${wrapped(texts.map((text) => `"${text}"`))} }; }`;
}

function actors({ tso, hosts, others, guests, once, ticks }: Model, tables: Tables): string {
  const processors = [...hosts, ...others];
  const begin = processors.map((node, thread) => `    node[${thread}] = ${node};`);
  const run = [
    ...processors.map((_, thread) => `own_processor(${thread})`),
    ...once.map(({ vcpu, node }, index) => `once_only(${index}, ${vcpu}, ${hosts[vcpu]}, ${node})`),
    ...guests.flatMap((_, guest) => hosts.map((_, vcpu) => `guest(${guest}, ${vcpu})`)),
    ...(tso ? processors.map((_, processor) => `drain(${processor})`) : []),
    ...(ticks > 0 ? ['time_passes()'] : []),
  ];
  const copies = Object.entries(tables).flatMap(([name, values]) =>
    partsOf(values).map(
      (_, part) => `memcpy(${name} + ${part * NUMBERS_AT_ONCE}, ${name}_${part}, sizeof ${name}_${part});`,
    ),
  );
  return `init {\n  atomic {\n    c_code {\n${wrapped(copies).replaceAll(';,', '; ')}\n    };\n${begin.join('\n')}\n${run.map((actor) => `    run ${actor}`).join(';\n')}\n  }\n}\n`;
}

function defines(values: Readonly<Record<string, number | string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `#define ${name} ${value}\n`)
    .join('');
}
